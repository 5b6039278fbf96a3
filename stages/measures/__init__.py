"""Labels, rows and synthetic reviews in figures."""
