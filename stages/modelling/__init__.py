"""The student classifier: losses, fine-tuning, answers and scores."""
