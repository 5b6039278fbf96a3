"""Which reviews people should check, and how their answers come back."""
