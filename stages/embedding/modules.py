"""What stands behind the encoder in a folder of sentence-transformers: pooling, and linear layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.common.arrays import Vectors
from stages.running.errors import ModelError
from stages.running.io import read_json

# How pooling is called in `1_Pooling/config.json`, by versions of sentence-transformers, and here.
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_ACTIVATIONS: dict[str, Callable[[Vectors], Vectors]] = {"Identity": lambda vectors: vectors, "Tanh": np.tanh}


@dataclass(frozen=True)
class Dense:
    """A layer: weights (outputs, inputs), biases (outputs,) or none, and the name of its activation."""

    weight: Vectors
    bias: Vectors | None
    activation: str

    def __call__(self, vectors: Vectors) -> Vectors:
        """Outputs (rows, outputs) of `vectors` (rows, inputs)."""
        given = vectors @ self.weight.T
        layer: Vectors = _ACTIVATIONS[self.activation](given if self.bias is None else given + self.bias)
        return layer


@dataclass(frozen=True)
class Modules:
    """How an encoder's states become a vector: by `pooling` over a text's tokens, then through `layers`."""

    pooling: str
    layers: tuple[Dense, ...] = ()

    def after(self, pooled: Vectors) -> Vectors:
        """What the layers make of pooled states (rows, dimensions)."""
        for layer in self.layers:
            pooled = layer(pooled)
        return pooled


def read_modules(folder: Path, pooling: str) -> Modules:
    """The modules of the model in `folder`; in a plain Hugging Face folder there is `pooling` alone.

    Raises:
        ModelError: a module that is not known here.
    """
    listed = folder / "modules.json"
    if not listed.is_file():
        return Modules(pooling)
    layers = []
    for module in read_json(listed):
        kind, path = module["type"].rsplit(".", 1)[-1], folder / module["path"]
        if kind == "Pooling":
            pooling = _pooling(path)
        elif kind == "Dense":
            layers.append(_dense(path))
        elif kind not in ("Transformer", "Normalize"):
            raise ModelError(f"{listed} has a module {kind}; known are Transformer, Pooling, Dense and Normalize")
    return Modules(pooling, tuple(layers))


def _pooling(folder: Path) -> str:
    settings = read_json(folder / "config.json")
    chosen = [_POOLINGS.get(key, key) for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    chosen = chosen or [settings.get("pooling_mode", "mean")]
    if chosen not in (["mean"], ["cls"]):
        raise ModelError(f"{folder}/config.json pools by {', '.join(chosen)}; known are mean and cls")
    return str(chosen[0])


def _dense(folder: Path) -> Dense:
    from safetensors.numpy import load_file

    stored = load_file(folder / "model.safetensors")
    tensors = {name.rsplit(".", 1)[-1]: value.astype(np.float32) for name, value in stored.items()}
    activation = read_json(folder / "config.json")["activation_function"].rsplit(".", 1)[-1]
    if activation not in _ACTIVATIONS:
        raise ModelError(f"{folder}/config.json has the activation {activation}; known are {', '.join(_ACTIVATIONS)}")
    return Dense(tensors["weight"], tensors.get("bias"), activation)
