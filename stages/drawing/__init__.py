"""Pictures of where real and synthetic reviews lie."""
