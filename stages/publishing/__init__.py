"""Student and dataset to the Hugging Face hub, or into a ZIP."""
