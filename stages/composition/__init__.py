"""From conf/ to params.yaml, and back."""
