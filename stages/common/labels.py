"""Section `labels`: the categories."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from stages.running.config import require, section


@section
class Labels:
    """The categories, in the one order that every array, table and picture uses; `language` is a code such as ru.

    `no_product` is the one of reviews that name no product, and speak of delivery or the seller alone; None without it.
    """

    language: str
    names: list[str]
    no_product: str | None = None

    def __post_init__(self) -> None:
        require(len(self.names) >= 2, "labels.names needs at least two categories")
        for name in self.names:
            plain = " ".join(name.split())
            require(bool(plain) and name == plain, f"labels.names: {name!r} is empty or has spaces to spare")
        alike = [_plain(name) for name in self.names]
        repeated = [name for name, form in zip(self.names, alike, strict=True) if alike.count(form) > 1]
        require(not repeated, f"labels.names: {repeated} are one name but for case; rename all but one")
        known = self.no_product is None or self.no_product in self.names
        require(
            known, f"labels.no_product={self.no_product!r} is none of labels.names; null if no category is of that kind"
        )


def meant_label(written: str, names: Sequence[str]) -> str | None:
    """Which of `names` a person meant by `written`: spaces around and between words and case do not matter."""
    return {_plain(name): name for name in names}.get(_plain(written))


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
