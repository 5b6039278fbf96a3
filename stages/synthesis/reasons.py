"""Why a candidate is thrown out."""

# In the order in which they are tried; all but the last by `filters.apply_filters`, that by `filters.relabelled`.
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
)
