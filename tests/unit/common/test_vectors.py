"""Vectors that are computed once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from stages.common.vectors import VectorStore, space
from stages.running.errors import ModelError

AT_A_TIME = 64


def lengths(texts: Sequence[str]) -> np.ndarray:
    return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(-1, 2)


def in_parts(texts: Sequence[str]) -> Iterator[np.ndarray]:
    for start in range(0, max(1, len(texts)), AT_A_TIME):
        yield lengths(texts[start : start + AT_A_TIME])


def test_texts_keep_their_order_and_are_computed_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def compute(texts: Sequence[str]) -> Iterator[np.ndarray]:
        asked.extend(texts)
        return in_parts(texts)

    store = VectorStore(tmp_path / "vectors.sqlite")
    texts = ["a" * size for size in range(1, 1300)]
    assert np.array_equal(store.of("here", texts, compute, "embed"), lengths(texts))
    again = VectorStore(tmp_path / "vectors.sqlite").of("here", [*texts[::-1], "b", "b"], compute, "embed")
    assert np.array_equal(again, lengths([*texts[::-1], "b", "b"]))
    assert asked == [*texts, "b"]
    store.of("elsewhere", ["b"], compute, "embed")
    assert asked == [*texts, "b", "b"]
    assert store.of("here", [], compute, "embed").shape == (0, 2)


def test_an_interruption_loses_one_part_at_most(tmp_path: Path) -> None:
    texts = [str(number) for number in range(3 * AT_A_TIME)]

    def stop(missing: Sequence[str]) -> Iterator[np.ndarray]:
        for number, vectors in enumerate(in_parts(missing)):
            if number == 2:
                raise KeyboardInterrupt
            yield vectors

    store = VectorStore(tmp_path / "vectors.sqlite")
    with pytest.raises(KeyboardInterrupt):
        store.of("here", texts, stop, "embed")
    asked: list[str] = []
    store.of("here", texts, lambda missing: asked.extend(missing) or in_parts(missing), "embed")
    assert asked == texts[2 * AT_A_TIME :]


def test_vectors_that_are_not_finite_are_not_stored(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "vectors.sqlite")

    def overflow(texts: Sequence[str]) -> Iterator[np.ndarray]:
        yield np.array([[1, np.nan if text == "b" else 1] for text in texts], dtype=np.float32)

    with pytest.raises(ModelError, match="the model's vector of 'b' has numbers that are not finite"):
        store.of("here", ["a", "b"], overflow, "embed")
    assert np.array_equal(store.of("here", ["a", "b"], in_parts, "embed"), lengths(["a", "b"]))


@pytest.mark.parametrize("broken", [b"", b"abc", b"\0" * 4, np.full(2, np.inf, np.float32).tobytes()])
def test_a_stored_vector_that_is_broken_is_computed_again(broken: bytes, tmp_path: Path) -> None:
    store, texts = VectorStore(tmp_path / "vectors.sqlite"), ["a", "bb", "ccc"]
    store.of("here", texts, in_parts, "embed")
    store.database.execute("UPDATE vectors SET vector = ? WHERE rowid = 2", [broken])
    asked: list[str] = []
    found = store.of("here", texts, lambda missing: asked.extend(missing) or in_parts(missing), "embed")
    assert asked == ["bb"]
    assert np.array_equal(found, lengths(texts))
    assert np.array_equal(store.of("here", texts, in_parts, "embed"), lengths(texts))


def _fill(path: Path, texts: list[str]) -> None:
    VectorStore(path).of("here", texts, in_parts, "embed")


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    path, texts = tmp_path / "vectors.sqlite", [str(number) for number in range(500)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(path, texts[start:])) for start in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert np.array_equal(VectorStore(path).of("here", texts, in_parts, "embed"), lengths(texts))


def test_a_space_tells_its_parts_and_the_libraries_apart() -> None:
    assert space("a", "b") != space("ab")
    assert "torch" in space("a")
