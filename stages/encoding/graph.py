"""Models as ONNX graphs: token ids in, a vector for each text out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils import parametrize
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The first with GELU's approximation by tanh, which Gemma computes, as one operator.
OPSET = 20
INPUTS = ["input_ids", "attention_mask"]

# From a model, ids and mask to what its graph is to give, each (rows, size).
Results: TypeAlias = "Callable[[PreTrainedModel, torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]"


def write_graph(model: PreTrainedModel, results: Results, names: Sequence[str], path: Path) -> None:
    """Write `model` as ONNX: ids and mask (rows, tokens), both int64, to outputs (rows, size), as `results` gives them.

    Arithmetic is fp32; large weights that are stored in half precision in the model's folder are so here, and widened
    when the graph is loaded. `model` is of no other use afterwards.

    Args:
        model: an encoder or a classifier of transformers.
        results: what the graph is to give, from `model`, ids and mask.
        names: of the graph's outputs.
        path: the file.
    """
    model = model.cpu().float().eval()  # type: ignore[no-untyped-call]
    model.set_attn_implementation(_ATTENTION)
    _store_in_half_precision(model)
    whole = _Graph(model, results)
    written = _traced(whole, names)
    _put_in_weights(written.graph, whole)
    _widen_after_lookup(written.graph)
    onnx.save(written, path)


def write_encoder(encoder: PreTrainedModel, pooling: str, path: Path) -> None:
    """Write an encoder whose output `vectors` (rows, size) is `pooled` from its last hidden states."""

    def vectors(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor]:
        return (pooled(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask, pooling),)

    write_graph(encoder, vectors, ["vectors"], path)


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """A row a text of hidden states (rows, tokens, size): the first token's with `cls`, else the mean under `mask`."""
    if pooling == "cls":
        return hidden[:, 0]
    seen = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * seen).sum(dim=1) / seen.sum(dim=1)


def _traced(model: nn.Module, names: Sequence[str]) -> onnx.ModelProto:
    """The graph without weights: they are inputs, called as in `model`."""
    ids = torch.ones((2, 3), dtype=torch.int64)
    written = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that it takes for a constant; that no wrong one is among them is tested.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids)),
            written,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            export_params=False,
            do_constant_folding=False,
            input_names=INPUTS,
            output_names=list(names),
            dynamic_axes={
                **{given: {0: "rows", 1: "tokens"} for given in INPUTS},
                **{name: {0: "rows"} for name in names},
            },
        )
    return onnx.load_model_from_string(written.getvalue())


def _put_in_weights(graph: onnx.GraphProto, model: nn.Module) -> None:
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for given in [*graph.input]:
        if given.name not in INPUTS:
            graph.input.remove(given)
            graph.initializer.append(numpy_helper.from_array(weights[given.name].detach().numpy(), given.name))


class _Graph(nn.Module):
    def __init__(self, model: PreTrainedModel, results: Results) -> None:
        super().__init__()
        self.model = model
        self.results = results

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.results(self.model, input_ids, attention_mask)


class _Widened(nn.Module):
    def forward(self, stored: torch.Tensor) -> torch.Tensor:
        return stored.float()


def _store_in_half_precision(model: nn.Module) -> None:
    for module in [*model.modules()]:
        # Weights that were never in half precision stay as they are.
        if isinstance(module, (nn.Linear, nn.Embedding)) and torch.equal(module.weight, module.weight.half().float()):
            module.weight.requires_grad_(False)
            module.weight.data = module.weight.data.half()
            parametrize.register_parametrization(module, "weight", _Widened(), unsafe=True)


def _widen_after_lookup(graph: onnx.GraphProto) -> None:
    """Widen the looked-up rows of an embedding and not its table, which would take twice its room in memory."""
    widened = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    stored = {tensor.name for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        cast = widened.get(node.input[0]) if node.op_type == "Gather" else None
        if cast is None or cast.input[0] not in stored:
            nodes.append(node)
            continue
        nodes.remove(cast)
        rows = f"{node.output[0]}_stored"
        nodes.append(onnx.helper.make_node("Gather", [cast.input[0], node.input[1]], [rows], node.name))
        nodes.append(onnx.helper.make_node("Cast", [rows], node.output, cast.name, to=onnx.TensorProto.FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)


# Attention in the plain operators of ONNX. transformers' own builds masks by torch.vmap, which cannot be traced.
_ATTENTION = "onnx"


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    position_bias: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of (rows, heads, tokens, size) queries; several of their heads may share one of keys and values.

    T5 adds a `position_bias` (1, heads, tokens, tokens) to its scores.
    """
    shared = query.unflatten(1, (key.shape[1], -1))  # type: ignore[no-untyped-call]
    scores = shared @ key.unsqueeze(2).transpose(-1, -2) * scaling + attention_mask.unsqueeze(2)
    if position_bias is not None:
        scores = scores + position_bias.unflatten(1, (key.shape[1], -1))  # type: ignore[no-untyped-call]
    mixed = scores.softmax(dim=-1) @ value.unsqueeze(2)
    return mixed.flatten(1, 2).transpose(1, 2).contiguous(), None


def _mask(*arguments: Any, **settings: Any) -> torch.Tensor:
    mask: torch.Tensor = eager_mask(*arguments, **{**settings, "use_vmap": False})
    return mask


AttentionInterface.register(_ATTENTION, _attention)
AttentionMaskInterface.register(_ATTENTION, _mask)
