"""transformers without its announcements."""

from __future__ import annotations

import sys

from transformers.utils import logging as transformers_logging


def quiet_transformers() -> None:
    """Keep transformers from announcing a head it had to create, and from drawing bars where nobody watches."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
