"""Section `distil`: whether students get a faster encoder that learns from the embedder."""

from __future__ import annotations

from pathlib import Path

from stages.running.config import require, require_option, section
from stages.running.io import DATA


@section
class Distil:
    """`into`: null, and students have the encoder of `models.student`; `student`, and that learns from the embedder
    first; or `static`, and they have vectors of words that are learnt from the embedder.

    With `student` that may keep its first `layers` alone. It learns from up to so many `texts` of the train rows and
    the most frequent `words`, `epochs` times, and reads them in lower case with `lowercase`, whatever the embedder
    does.
    """

    into: str | None
    layers: int | None
    lowercase: bool
    words: int
    texts: int
    epochs: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.into is not None:
            require_option("distil.into", self.into, ("student", "static"))
        if self.layers is not None:
            require(self.layers >= 1, f"distil.layers={self.layers} must be at least 1")
            require(self.into == "student", f"distil.layers={self.layers}: only distil.into=student has layers")
        for name in ("words", "texts", "epochs", "batch_size"):
            require(getattr(self, name) >= 1, f"distil.{name} must be at least 1")
        require(self.learning_rate > 0, "distil.learning_rate must be above 0")

    @property
    def encoder(self) -> Path:
        """The folder of the encoder that students start from."""
        return DATA / ("models/student" if self.into is None else "distilled")
