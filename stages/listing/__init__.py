"""Lists of reviews that a page shows: what they hold, by what a reader chooses among them."""
