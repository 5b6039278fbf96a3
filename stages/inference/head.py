"""The last layer of a student: what makes logits of an encoder's features."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stages.common.arrays import FloatArray, Vectors


@dataclass(frozen=True)
class Head:
    """Weights (labels, features) and, where the architecture has them, biases (labels,); both in float32."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    @classmethod
    def of(cls, layer: torch.nn.Linear) -> Head:
        """What `layer` holds now."""
        bias = None if layer.bias is None else layer.bias.detach().float().cpu().clone()
        return cls(layer.weight.detach().float().cpu().clone(), bias)

    def put_into(self, layer: torch.nn.Linear) -> None:
        """Make `layer` this head."""
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            if self.bias is not None:
                layer.bias.copy_(self.bias)

    def logits(self, features: Vectors) -> FloatArray:
        """Logits (rows, labels) of features (rows, features)."""
        logits = torch.from_numpy(features) @ self.weight.T
        found: FloatArray = (logits if self.bias is None else logits + self.bias).numpy()
        return found

    def scaled(self, temperature: float) -> Head:
        """A head whose logits are those of this one divided by `temperature`."""
        return Head(self.weight / temperature, None if self.bias is None else self.bias / temperature)
