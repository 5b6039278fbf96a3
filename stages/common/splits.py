"""The parts that reviews are split into."""

SPLITS = ("train", "validation", "test")
