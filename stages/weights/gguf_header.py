"""Whether a GGUF file is whole and its figures can be, before a library that believes them reads it.

The header, little endian: magic, version, the counts of tensors and settings; each setting a name, a type and a value;
each tensor a name, its shape, its type and where its bytes begin
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from stages.running.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
# Formats of a setting's value by its type.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
MAX_DIMENSIONS = 4
# Settings that say how large the model is that a library makes room for.
SIZES = (
    ".embedding_length",
    ".feed_forward_length",
    ".vocab_size",
    ".attention.head_count",
    ".attention.head_count_kv",
)


def check_header(path: Path) -> None:
    """Read the header to its end, in the memory of a few of its values.

    Raises:
        ModelError: it is no GGUF file, is cut, or says what cannot be.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ModelError(f"{path.name} does not start with {MAGIC!r}: not a GGUF file, or parts in a wrong order")
        try:
            _check(_Header(file, path.stat().st_size))
        except ValueError as error:
            raise ModelError(f"{path.name} is cut or damaged: {error}; fetch it anew") from error


@dataclass
class _Header:
    """The rest of a file of `size` bytes."""

    file: IO[bytes]
    size: int

    def skip(self, count: int) -> None:
        if count > self.size - self.file.tell():
            raise ValueError(f"{count} bytes are announced at byte {self.file.tell()} of {self.size}")
        self.file.seek(count, 1)

    def one(self, layout: str) -> int | float:
        content = self.file.read(struct.calcsize(f"<{layout}"))
        if len(content) < struct.calcsize(f"<{layout}"):
            raise ValueError(f"it ends within its header, at byte {self.size}")
        (value,) = struct.unpack(f"<{layout}", content)
        return value  # type: ignore[no-any-return]

    def count(self, layout: str = "Q") -> int:
        """How many things follow; each takes a byte at least."""
        number = int(self.one(layout))
        if number > self.size:
            raise ValueError(f"{number} entries are announced in {self.size} bytes")
        return number

    def name(self) -> str:
        length = self.count()
        start = self.file.tell()
        self.skip(length)
        self.file.seek(start)
        return self.file.read(length).decode()

    def value(self) -> int | float | None:
        """A setting's value, where it is a number; a text or a list is skipped."""
        kind = int(self.one("I"))
        if kind == STRING:
            self.skip(self.count())
        elif kind == ARRAY:
            self._skip_array()
        elif kind in SCALARS:
            return self.one(SCALARS[kind])
        else:
            raise ValueError(f"a setting is of the unknown type {kind}")
        return None

    def _skip_array(self) -> None:
        kind, length = int(self.one("I")), self.count()
        if kind == STRING:
            for _ in range(length):
                self.skip(self.count())
        elif kind in SCALARS:
            self.skip(length * struct.calcsize(SCALARS[kind]))
        else:
            raise ValueError(f"a list is of the unknown type {kind}")


def _check(header: _Header) -> None:
    version = int(header.one("I"))
    if version not in VERSIONS:
        raise ValueError(f"it is of version {version}, not {' or '.join(map(str, VERSIONS))}")
    tensors, settings = header.count(), header.count()
    values = {header.name(): header.value() for _ in range(settings)}
    largest, end = 0, 0
    for _ in range(tensors):
        header.name()
        shape = [header.count() for _ in range(_within(header.count("I"), MAX_DIMENSIONS, "dimensions"))]
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(int(header.one("I")))]
        end = max(end, int(header.one("Q")) + math.prod(shape) // block * block_bytes)
        largest = max(largest, *shape, 0)
    alignment = _within(int(values.get("general.alignment") or 32), 2**16, "bytes of alignment")
    data = -(-header.file.tell() // alignment) * alignment
    if data + end > header.size:
        raise ValueError(f"its tensors end at byte {data + end}, the file at {header.size}")
    for name, value in values.items():
        if value is not None and name.endswith(".block_count"):
            _within(int(value), tensors, f"in {name}")
        elif value is not None and name.endswith(SIZES):
            _within(int(value), largest, f"in {name}")


def _within(number: int, limit: int, what: str) -> int:
    if not 0 <= number <= limit:
        raise ValueError(f"{number} {what}, where {limit} can be at most")
    return number
