"""Where downloads, answers and vectors are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`RAZMETKA_CACHE`, or the user's cache folder.

    Outside the repository and outside DVC on purpose: DVC deletes a stage's outputs when the stage starts,
    and queued experiments run in copies of the repository that lack files neither Git nor DVC knows.
    """
    return Path(os.environ.get("RAZMETKA_CACHE") or platformdirs.user_cache_dir("razmetka"))
