"""One thread that asks the student, for all who wait at a time.

Nothing waits for others to come: a batch is of what came while the one before it was computed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    # For the types alone: it imports pandas.
    from stages.common.arrays import FloatArray

logger = logging.getLogger(__name__)


class Student(Protocol):
    """What is asked of a classifier; see `inference.onnx_classifier.OnnxClassifier`."""

    labels: list[str]
    file: str

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Distributions over `labels` (texts, labels) and what reaches the head (texts, features)."""
        ...


@dataclass(frozen=True)
class Answers:
    """Of a request's texts: distributions (texts, labels), and what reaches the head (texts, features)."""

    probabilities: FloatArray
    embedding: FloatArray


class OverloadedError(Exception):
    """Too many texts wait; the argument is the number of seconds after which to ask again."""


class StoppedError(Exception):
    """The service ends and takes nothing more."""


@dataclass(eq=False)
class _Request:
    """`left` are the places of texts that are in no batch yet, `rows` what was answered, by place."""

    texts: Sequence[str]
    left: list[int]
    future: Future[Answers] = field(default_factory=Future)
    rows: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def add(self, place: int, row: tuple[FloatArray, FloatArray]) -> None:
        self.rows[place] = row
        if len(self.rows) == len(self.texts):
            ordered = (self.rows[place] for place in range(len(self.texts)))
            probabilities, embedding = (np.stack(rows) for rows in zip(*ordered, strict=True))
            # Whoever asked may go at this very moment.
            with suppress(InvalidStateError):
                self.future.set_result(Answers(probabilities, embedding))

    def fail(self, error: Exception) -> None:
        self.left.clear()
        with suppress(InvalidStateError):
            self.future.set_exception(error)


# Texts, each by its request and its place there.
_Batch: TypeAlias = "list[tuple[_Request, int]]"


class Batcher:
    """Answers of a student, `batch_size` texts at a time, to any number of threads."""

    def __init__(self, student: Student, batch_size: int, most_waiting: int, observe: Callable[[int], object]) -> None:
        """Start the thread, which ends with `stop`.

        Args:
            student: is asked by that thread alone.
            batch_size: texts a batch.
            most_waiting: texts that may wait; a request of more is taken where no other waits.
            observe: is told the size of each batch before it is computed.
        """
        self.labels = student.labels
        self._student = student
        self._batch_size = batch_size
        self._most_waiting = most_waiting
        self._observe = observe
        # The first has waited longest for its turn.
        self._requests: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._seconds_a_text = 0.0
        self._thread = threading.Thread(target=self._work, name="student", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return not self._stopped and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Texts that are in no batch yet."""
        return sum(len(request.left) for request in [*self._requests])

    def submit(self, texts: Sequence[str]) -> Future[Answers]:
        """Ask about one cleaned text or more. A future that is cancelled costs no batch but the one under way.

        Raises:
            OverloadedError: too many texts wait.
            StoppedError: after `stop`.
        """
        request = _Request(texts, [*range(len(texts))])
        with self._changed:
            if self._stopped:
                raise StoppedError
            waiting = self.waiting
            if waiting and waiting + len(texts) > self._most_waiting:
                raise OverloadedError(max(1, round(waiting * self._seconds_a_text)))
            self._requests.append(request)
            self._changed.notify()
        return request.future

    def stop(self) -> None:
        """Answer what waits, and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requests or self._stopped)
                batch = self._next()
                if not batch and self._stopped:
                    return
            if batch:
                self._observe(len(batch))
                self._answer(batch)

    def _next(self) -> _Batch:
        """Take a text of the request whose turn it is, and those nearest to it in length, which share a core.

        By turns: a single text does not wait for the thousand of another request.
        """
        self._requests = deque(request for request in self._requests if request.left and not request.future.cancelled())
        if not self._requests:
            return []
        self._requests.rotate(-1)
        chosen = self._requests[-1], self._requests[-1].left[0]
        length = _length(chosen)
        waiting = ((request, place) for request in self._requests for place in request.left)
        batch = nsmallest(self._batch_size, waiting, key=lambda one: (one != chosen, abs(_length(one) - length)))
        for request, place in batch:
            request.left.remove(place)
        return batch

    def _answer(self, batch: _Batch) -> None:
        began = time.monotonic()
        try:
            rows = self._student.predict_and_embed([request.texts[place] for request, place in batch])
        except Exception as error:  # of whatever kind: those who asked are told, and others are answered
            logger.exception("a batch of %d texts failed", len(batch))
            for request, _ in batch:
                request.fail(error)
            return
        self._seconds_a_text = (time.monotonic() - began) / len(batch)
        for (request, place), probabilities, embedding in zip(batch, *rows, strict=True):
            request.add(place, (probabilities, embedding))


def _length(one: tuple[_Request, int]) -> int:
    request, place = one
    return len(request.texts[place])
