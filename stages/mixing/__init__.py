"""What was written for the categories, told as customers of a shop would."""
