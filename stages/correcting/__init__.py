"""What people say of reviews, put above what models say."""
