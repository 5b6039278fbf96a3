"""The encoder that a student starts from, loaded where something has to go through it that nobody put there before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stages.common.arrays import Vectors
from stages.common.fingerprint import code_fingerprint, fingerprint
from stages.common.vectors import space
from stages.encoding.case import as_read
from stages.encoding.means import TokenMeans, means_space
from stages.encoding.source import ModelFolder
from stages.inference.features import head_inputs, last_linear
from stages.inference.head import Head
from stages.running.io import read_json
from stages.training.config import Train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PACKAGES = Path(__file__).parents[1]
# The code that decides what an encoder gives, and that which writes a student's folder.
ARCHITECTURE = (
    _PACKAGES / "training/student.py",
    _PACKAGES / "encoding/sentence_classifier.py",
    _PACKAGES / "encoding/lexicon.py",
    _PACKAGES / "encoding/static_encoder.py",
)
WRITTEN_BY = (_PACKAGES / "inference/folder.py",)


class Encoder:
    """The weights in a folder, with a head over `label_names` that is yet to learn."""

    def __init__(self, folder: Path, label_names: Sequence[str], settings: Train, seed: int) -> None:
        """Take the folder.

        Raises:
            ModelError: it holds no model.
        """
        self._source = ModelFolder(folder, settings.max_tokens)
        self.folder = folder
        self.label_names = list(label_names)
        self.settings = settings
        self.seed = seed

    @property
    def is_frozen(self) -> bool:
        """Whether it stays as it is, whole, so that what it gives is known to whoever encoded the same texts."""
        return self.settings.epochs == 0 and self.settings.pooling in ("mean", "cls") and self.settings.layers is None

    @cached_property
    def space(self) -> str:
        """The name of what the encoder gives as long as it is not trained (see `vectors.space`)."""
        train = self.settings
        if self.is_frozen:
            return means_space(self.folder, train.pooling, train.max_tokens)
        weights = fingerprint(self.folder, without=["provenance.json"])
        # The architectures' own heads have a layer before the last one, which starts from random weights.
        start = None if train.pooling != "model" else self.seed
        code = code_fingerprint(*ARCHITECTURE)
        around = (train.prompt, train.suffix, train.lowercase)
        return space("encoder", weights, *around, train.pooling, train.layers, train.max_tokens, start, code)

    @property
    def means(self) -> dict[str, Any]:
        """Where what it gives for a text may be found, as long as it is not trained."""
        train = self.settings
        return {
            "space": self.space,
            "prompt": train.prompt,
            "lowercase": train.lowercase,
            "pooling": train.pooling,
        }

    @property
    def identity(self) -> str:
        """Of all that a student's folder holds beside its head."""
        train, code = self.settings, code_fingerprint(*ARCHITECTURE, *WRITTEN_BY)
        lexicon = train.lexicon is not None
        read = f"{train.prompt!r} {train.lowercase}"
        return f"{self.space} {read} {train.precision} {lexicon} {self.label_names} {code}"

    def features(self, texts: Sequence[str]) -> Vectors:
        """What reaches the head, shape (texts, features); kept for whoever has the same encoder."""
        train = self.settings
        if self.is_frozen:
            means = TokenMeans(self.space, train.pooling, self._source)
            return means.of(self._read(texts), train.batch_size)
        return head_inputs(self.space, texts, self.student, train.batch_size)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of `texts` as the student reads them."""
        return [self._source.ids(text) for text in self._read(texts)]

    @cached_property
    def tokens(self) -> int:
        """Tokens that there are."""
        size: int = read_json(self.folder / "config.json")["vocab_size"]
        return size

    def student(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Model and tokenizer, on the graphics card if there is one; always the same two."""
        return self._student

    def has_bias(self) -> bool:
        """Whether the architecture's last layer has one."""
        # No model is loaded to see what stands in the code.
        return self.settings.pooling != "model" or last_linear(self._student[0]).bias is not None

    def write_with(self, head: Head, folder: Path) -> None:
        """Write the student with this head."""
        head.put_into(self._student[0])
        self.write(folder)

    def write(self, folder: Path) -> None:
        """Write the student as it is now."""
        from stages.inference.folder import write_student

        write_student(*self._student, folder, self.settings.precision)

    def _read(self, texts: Sequence[str]) -> list[str]:
        """`texts` with what the student's tokenizer changes of them."""
        train = self.settings
        return as_read(texts, lowercase=train.lowercase, prompt=train.prompt)

    @cached_property
    def _student(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        # Imported here: transformers takes seconds to import.
        from transformers import set_seed

        from stages.training.student import build_student

        set_seed(self.seed)
        model, tokenizer = build_student(self.folder, self.label_names, self.settings)
        model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))  # type: ignore[arg-type]
        return model, tokenizer
