"""The quantised blocks of a GGUF file -> float16, on all cores.

gguf's own function goes sixteen rows at a time, to float32, on one core. Pieces that stay in a core's cache take half
the processor time, and NumPy and torch let other threads compute meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch

from stages.running.peak import physical_cores

# Weights a piece: what it takes in float32, with what leads there, is a megabyte or two.
PIECE = 2**17
WHOLE = (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16)

Dequantize = Callable[[npt.NDArray[Any], gguf.GGMLQuantizationType], npt.NDArray[Any]]


def half_blocks(dequantize: Dequantize) -> Dequantize:
    """gguf's `dequantize` for whole tensors: shape (rows…, bytes a row) uint8 -> (rows…, weights a row) float16.

    What is stored as numbers stays as it is given, float32: transformers computes with some of it, before it halves.
    """

    def halved(data: npt.NDArray[Any], kind: gguf.GGMLQuantizationType) -> npt.NDArray[Any]:
        if kind in WHOLE:
            return dequantize(data, kind)
        weights, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = np.asarray(data).reshape(-1, size)
        half = torch.empty(len(blocks), weights, dtype=torch.float16)
        step = PIECE // weights

        def compute(start: int) -> None:
            # As one row, which it does not cut any further.
            piece = dequantize(blocks[start : start + step].reshape(-1), kind)
            half[start : start + step] = torch.from_numpy(piece).view(-1, weights)

        with ThreadPoolExecutor(physical_cores()) as pool:
            # By way of a list, which raises what one of them raised.
            list(pool.map(compute, range(0, len(blocks), step)))
        return half.numpy().reshape(*data.shape[:-1], -1)

    return halved
