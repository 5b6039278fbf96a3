"""A faster encoder in the place of a large one: what it learns from, and how."""
