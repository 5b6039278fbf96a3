"""Vectors of texts, each computed once: by whichever stage, run or experiment comes first.

One SQLite file (write-ahead log) in the cache folder serves all of them. A key is the text and the space that its
vector lies in: the model, its settings, the code that asks it, and the libraries.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np

from stages.common.arrays import Vectors
from stages.common.cache import cache_folder
from stages.common.database import KEYS_AT_A_TIME, Database
from stages.running.errors import ModelError
from stages.running.progress import Progress

# Gives the vectors of texts in their order, as many at a time as it likes: each part is on disk before the next.
Compute = Callable[[Sequence[str]], Iterator[Vectors]]


class VectorStore:
    """A persistent map from (space, text) to a float32 vector; safe against kill -9 and concurrent runs."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the file, by default the one in the cache folder."""
        path = path or cache_folder() / "vectors.sqlite"
        self.database = Database(path, {"vectors": "key BLOB PRIMARY KEY, vector BLOB NOT NULL"})

    def of(self, space: str, texts: Sequence[str], compute: Compute, description: str) -> Vectors:
        """Vectors (texts, dimensions) of `texts` in `space`; `compute` gives those that nobody has computed before.

        With no texts, `compute` is asked for none, to know the number of dimensions.

        Raises:
            ModelError: `compute` gave a vector with a number that is not finite; it is not stored.
        """
        if not texts:
            return next(compute([]))
        keys = {text: hashlib.sha256(f"{space}\0{text}".encode()).digest() for text in texts}
        found = _sound(dict(self._found(list(keys.values()))))
        missing = [text for text, key in keys.items() if key not in found]
        with Progress(description, len(keys), "texts", known=len(keys) - len(missing)) as progress:
            waiting = iter(missing)
            for vectors in compute(missing) if missing else ():
                part = list(islice(waiting, len(vectors)))
                broken = ~np.isfinite(vectors).all(axis=1)
                if broken.any():
                    text = part[int(broken.argmax())]
                    raise ModelError(
                        f"{description}: the model's vector of {text[:60]!r} has numbers that are not finite; its "
                        "weights are damaged, or it cannot compute in this precision"
                    )
                new = {keys[text]: vector for text, vector in zip(part, vectors, strict=True)}
                with self.database.transaction():
                    rows = [(key, vector.tobytes()) for key, vector in new.items()]
                    self.database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
                found |= new
                progress.update(len(new))
        return np.stack([found[keys[text]] for text in texts])

    def _found(self, keys: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for start in range(0, len(keys), KEYS_AT_A_TIME):
            part = keys[start : start + KEYS_AT_A_TIME]
            places = ", ".join("?" * len(part))
            for row in self.database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({places})", part):
                yield row[0], row[1]


def _sound(stored: dict[bytes, bytes]) -> dict[bytes, Vectors]:
    """Those of the vectors that are finite and as long as most of them are; the others are to be computed again."""
    if not stored:
        return {}
    size = Counter(map(len, stored.values())).most_common(1)[0][0]
    whole = {key: np.frombuffer(vector, np.float32) for key, vector in stored.items() if len(vector) == size}
    return {key: vector for key, vector in whole.items() if np.isfinite(vector).all()}


def space(*parts: object) -> str:
    """The name of a space: `parts`, and the versions of the libraries whose sums a vector depends on."""
    libraries = [f"{name} {version(name)}" for name in ("torch", "transformers", "tokenizers", "onnxruntime")]
    return " ".join([*map(repr, parts), *libraries])
