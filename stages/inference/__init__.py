"""A trained student at work: its folder, its features, its answers."""
