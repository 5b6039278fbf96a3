"""The training set: its rows, its folder, and what must not be in it."""
