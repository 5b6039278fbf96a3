"""What a few reviews become, and what all of them would cost."""
