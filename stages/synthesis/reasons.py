"""Why a candidate is thrown out."""

# In the order in which they are tried; all but the last two by `filters.apply_filters`, these by `filters.relabelled`
# and `filters.once_told`.
REASONS = (
    "script",
    "assistant_talk",
    "injection",
    "length",
    "repetition",
    "unlikely",
    "unfaithful",
    "unknown_word",
    "duplicate",
    "copied",
    "near_duplicate",
    "another_category",
    "told_before",
)
