"""From a raw file to clean, unique, split rows."""
