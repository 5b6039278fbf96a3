"""Section `distil`: whether students get a faster encoder that learns from the embedder."""

from __future__ import annotations

from pathlib import Path

from stages.common.config import require, require_option, section
from stages.common.io import DATA


@section
class Distil:
    """`into`: null, and students have the encoder of `models.student`; `student`, and that learns from the embedder
    first; or `static`, and they have vectors of words that are learnt from the embedder.

    It learns from up to so many `texts` of the train rows and the most frequent `words`, `epochs` times, and reads them
    in lower case with `lowercase`, whatever the embedder does.
    """

    into: str | None
    lowercase: bool
    words: int
    texts: int
    epochs: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.into is not None:
            require_option("distil.into", self.into, ("student", "static"))
        for name in ("words", "texts", "epochs", "batch_size"):
            require(getattr(self, name) >= 1, f"distil.{name} must be at least 1")
        require(self.learning_rate > 0, "distil.learning_rate must be above 0")

    @property
    def encoder(self) -> Path:
        """The folder of the encoder that students start from."""
        return DATA / ("models/student" if self.into is None else "distilled")
