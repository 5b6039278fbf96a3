"""How the teacher is asked for a category, and what its answer is worth."""
