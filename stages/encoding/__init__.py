"""Texts through an encoder, each once."""
