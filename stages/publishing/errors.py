"""The failure of this package."""

from __future__ import annotations

from stages.running.errors import RazmetkaError


class PublishError(RazmetkaError):
    """Nothing can be passed on: something is not whole or not allowed, or the hub does not take it."""
