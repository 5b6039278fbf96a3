"""transformers without its announcements."""

from __future__ import annotations

from transformers.utils import logging as transformers_logging


def quiet_transformers() -> None:
    """Keep transformers from announcing a head it had to create."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
