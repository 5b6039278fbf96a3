"""The page and the cards that tell what a run gave."""
