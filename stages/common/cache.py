"""Where downloads, answers and vectors are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from stages.running.errors import ConfigError

VARIABLE = "RAZMETKA_CACHE"


def cache_folder() -> Path:
    """`RAZMETKA_CACHE`, in which `~` is the user's home, or the user's cache folder; made where it is not there.

    Outside the repository and outside DVC on purpose: DVC deletes a stage's outputs when the stage starts,
    and queued experiments run in copies of the repository that lack files neither Git nor DVC knows.

    Raises:
        ConfigError: nothing can be written there.
    """
    named = os.environ.get(VARIABLE)
    try:
        folder = Path(named or platformdirs.user_cache_dir("razmetka")).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"nobody may write into {folder}")
    except (OSError, RuntimeError) as error:
        what = f"{VARIABLE}={named}" if named else "the user's cache folder"
        raise ConfigError(
            f"{what} is of no use: {error}; name a folder that can be written to by {VARIABLE}"
        ) from error
    return folder
