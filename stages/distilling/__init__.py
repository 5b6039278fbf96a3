"""A far faster encoder in the place of a large one: which words it has, and what they are learnt from."""
