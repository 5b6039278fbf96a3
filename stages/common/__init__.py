"""What several packages share: labels, texts, arrays, caches and locks."""
