"""What was written for the categories: example reviews, products and notes."""
