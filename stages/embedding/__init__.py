"""Sentence embeddings: made, kept, compared."""
