"""A student as an ONNX graph: token ids in, probabilities out; pooling, head, temperature and softmax inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.encoding.graph import write_graph

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def write_classifier(student: PreTrainedModel, path: Path) -> None:
    """Write a graph whose output is `probabilities` (rows, labels); see `write_graph`."""

    def probabilities(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        distributions: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits.softmax(dim=-1)
        return distributions

    write_graph(student, probabilities, "probabilities", path)
