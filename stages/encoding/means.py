"""The mean over an encoder's tokens: what sentence embeddings and students with a frozen encoder both start from.

What an encoder gives for a text is computed once, whoever asks for it first. On a CPU ONNX Runtime computes it: its
weights lie ready for small products, which torch arranges anew for each. On a graphics card torch does, in half
precision: a language model may hold most of the card's memory at the same time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stages.common.arrays import Vectors
from stages.common.cache import cache_folder
from stages.common.fingerprint import code_fingerprint, fingerprint
from stages.common.vectors import VectorStore, space
from stages.encoding.runtime import EMBEDDING, computed, open_graph
from stages.running.errors import card_memory
from stages.running.io import atomic_path
from stages.running.peak import physical_cores
from stages.running.work import Usage, encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Texts between two writes to disk on a graphics card; those of like length among them share a batch.
AT_A_TIME = 1024
# The same on a CPU, which takes seconds for them; those of as many tokens share a batch.
TEXTS_AT_A_TIME = 256
# Where a card has no room for the encoder, or for a batch.
REMEDY = (
    "lower embed.batch_size or train.batch_size, whichever encodes here, or vllm.gpu_memory_utilization, which is the "
    "share that a language model takes for itself"
)


class Source(Protocol):
    """The folder that an encoder comes from, and how it cuts a text."""

    folder: Path

    def encoder(self, dtype: str = "float32") -> PreTrainedModel:
        """Load the encoder, with weights of `dtype`."""
        ...

    def ids(self, text: str) -> list[int]:
        """The tokens of `text`, special ones among them."""
        ...


def means_space(folder: Path, pooling: str, max_tokens: int) -> str:
    """The name of what the encoder in `folder` gives (see `vectors.space`).

    Wherever the same weights lie, it is the same: embedder and student may share every vector.
    """
    weights = fingerprint(folder, without=["provenance.json"])
    code = code_fingerprint(__file__, Path(__file__).with_name("graph.py"))
    return space("token means", weights, pooling, max_tokens, code)


class TokenMeans:
    """Vectors of texts in `space`; `source` is asked where some text is not known yet."""

    def __init__(self, space: str, pooling: str, source: Source, store: VectorStore | None = None) -> None:
        """`pooling` is `mean`, or `cls`: the first token's state instead of the mean over all of them."""
        self._device = _device()
        self._dtype = "float32" if self._device == "cpu" else _half_precision()
        self._name = space
        self.space = f"{space} cpu" if self._device == "cpu" else f"{space} {self._device} {self._dtype}"
        self.pooling = pooling
        self._source = source
        self._store = store or VectorStore()

    def of(self, texts: Sequence[str], batch_size: int = 64) -> Vectors:
        """A float32 array (texts, dimensions). `batch_size` matters on a graphics card alone."""
        return self._store.of(self.space, texts, lambda missing: self._compute(missing, batch_size), "encode")

    def graph_file(self) -> Path:
        """The encoder as a graph for ONNX Runtime, written on the first day that it is needed; see `write_encoder`."""
        path = cache_folder() / "graphs" / f"{hashlib.sha256(self._name.encode()).hexdigest()[:32]}.onnx"
        if not path.is_file():
            from stages.encoding.graph import write_encoder

            with atomic_path(path) as temporary:
                write_encoder(self._source.encoder(), self.pooling, temporary)
        return path

    def _compute(self, texts: Sequence[str], batch_size: int) -> Iterator[Vectors]:
        if not texts:
            yield np.empty((0, self._encoder.config.hidden_size), dtype=np.float32)
            return
        usage = Usage(encoder(self._source.folder), "texts")
        cut = [self._source.ids(text) for text in texts]
        on_cpu = self._device == "cpu"
        # Loaded before the clock starts.
        _ = self._graph if on_cpu else self._encoder
        begin = time.perf_counter()
        for vectors in self._alike(cut) if on_cpu else self._in_batches(cut, batch_size):
            yield vectors
            usage.add(sum(map(len, cut[usage.pieces : usage.pieces + len(vectors)])))
            usage.pieces += len(vectors)
        usage.tell(self._source.folder.name, time.perf_counter() - begin, self._dtype)

    def _alike(self, cut: Sequence[list[int]]) -> Iterator[Vectors]:
        """On a CPU. Only texts of as many tokens share a batch: so each gets what it would get alone.

        A core has a batch of its own: a text is too little work to be divided.
        """
        for start in range(0, len(cut), TEXTS_AT_A_TIME):
            yield computed(self._graph, cut[start : start + TEXTS_AT_A_TIME], [EMBEDDING], physical_cores())[0]

    def _in_batches(self, cut: Sequence[list[int]], batch_size: int) -> Iterator[Vectors]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from stages.encoding.graph import pooled

        model = self._encoder
        padding = model.config.pad_token_id or 0
        for start in range(0, len(cut), AT_A_TIME):
            part = [torch.tensor(tokens) for tokens in cut[start : start + AT_A_TIME]]
            order = sorted(range(len(part)), key=lambda row: len(part[row]))
            vectors = np.empty((len(part), model.config.hidden_size), dtype=np.float32)
            for first in range(0, len(order), batch_size):
                rows = order[first : first + batch_size]
                ids = pad_sequence([part[row] for row in rows], batch_first=True, padding_value=padding)
                mask = pad_sequence([torch.ones_like(part[row]) for row in rows], batch_first=True)
                mask = mask.to(model.device)
                with torch.inference_mode(), card_memory(REMEDY):
                    hidden = model(input_ids=ids.to(model.device), attention_mask=mask).last_hidden_state
                # A sum over many tokens would round to a few digits in half precision.
                vectors[rows] = pooled(hidden.float(), mask, self.pooling).cpu().numpy()
            yield vectors

    @cached_property
    def _encoder(self) -> Any:
        with card_memory(REMEDY):
            encoder: Any = self._source.encoder(self._dtype)
            return encoder.to(self._device).eval()

    @cached_property
    def _graph(self) -> Any:
        return open_graph(self.graph_file(), threads=1)


def _device() -> str:
    """Whether a card computes, in batches, or the CPU; torch takes seconds to import, and without a driver says no."""
    if not Path("/proc/driver/nvidia").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _half_precision() -> str:
    """bfloat16 where the card computes in it, as some encoders overflow in float16; float16 on older cards."""
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
