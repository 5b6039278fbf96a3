"""Dequantising on all cores: gguf's own numbers, halved."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind

from stages.weights import blocks
from stages.weights.blocks import half_blocks


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small tensor has many of them, and the last one is not full."""
    monkeypatch.setattr(blocks, "PIECE", 1024)


def packed(kind: Kind, rows: int, blocks_a_row: int) -> np.ndarray:
    """Blocks of any bits whose scales, the float16 numbers among them, are finite and small."""
    _, size = gguf.GGML_QUANT_SIZES[kind]
    content = np.random.default_rng(20).integers(0, 256, size=(rows, blocks_a_row, size), dtype=np.uint8)
    scales = {Kind.Q5_0: [0], Kind.Q8_0: [0], Kind.Q4_K: [0, 2], Kind.Q6_K: [208]}[kind]
    for place in scales:
        # The upper byte of a float16 between 2^-9 and 2^-5.
        content[..., place + 1] = 0x18 + content[..., place + 1] % 16
    return content.reshape(rows, -1)


@pytest.mark.parametrize("kind", [Kind.Q5_0, Kind.Q8_0, Kind.Q4_K, Kind.Q6_K], ids=lambda kind: kind.name)
def test_every_weight_is_what_gguf_makes_of_it(kind: Kind) -> None:
    data = packed(kind, rows=37, blocks_a_row=3)
    expected = gguf.dequantize(data, kind)
    half = half_blocks(gguf.dequantize)(data, kind)
    assert half.dtype == np.float16
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(half, torch.from_numpy(expected).half().numpy())


def test_what_is_stored_as_numbers_stays_in_full() -> None:
    norm = np.array([1.0001, 0.1], dtype=np.float32)
    np.testing.assert_array_equal(half_blocks(gguf.dequantize)(norm, Kind.F32), norm, strict=True)


def test_a_kind_that_gguf_does_not_know_is_told() -> None:
    with pytest.raises(NotImplementedError, match="Q8_K"):
        half_blocks(gguf.dequantize)(np.zeros((4, 292), dtype=np.uint8), Kind.Q8_K)
