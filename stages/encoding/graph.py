"""Encoders as ONNX graphs: token ids in, a vector for each text out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from stages.encoding.runtime import EMBEDDING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The first with GELU's approximation by tanh, which Gemma computes, as one operator.
OPSET = 20
INPUTS = ["input_ids", "attention_mask"]

# From a model, ids and mask to what its graph is to give, (rows, size).
Give: TypeAlias = "Callable[[PreTrainedModel, torch.Tensor, torch.Tensor], torch.Tensor]"


def write_encoder(encoder: PreTrainedModel, pooling: str, path: Path) -> None:
    """Write an encoder whose vectors are `pooled` from its last hidden states; see `graph_of`."""

    def vectors(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return pooled(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask, pooling)

    onnx.save(graph_of(encoder, vectors), path)


def graph_of(model: PreTrainedModel, give: Give) -> onnx.ModelProto:
    """`model` as ONNX: ids and mask (rows, tokens), both int64, to `embedding` (rows, size), as `give` computes it.

    Arithmetic is fp32; matrices that lose nothing by it are stored in half precision. `model` is of no other use
    afterwards.
    """
    model = model.cpu().float().eval()  # type: ignore[no-untyped-call]
    model.set_attn_implementation(_ATTENTION)
    whole = _Graph(model, give)
    written = _traced(whole)
    _put_in_order(written.graph)
    _put_in_weights(written.graph, whole)
    return written


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """A row a text of hidden states (rows, tokens, size): the first token's with `cls`, else the mean under `mask`."""
    if pooling == "cls":
        return hidden[:, 0]
    # ONNX Runtime rounds a product alike for one text and for several, but not a sum.
    seen = mask.unsqueeze(1).to(hidden.dtype)
    return (seen @ hidden).squeeze(1) / seen.sum(dim=2)


def widen(graph: onnx.GraphProto, stored: Collection[str]) -> None:
    """Compute in fp32 with the matrices called `stored`, which are in half precision.

    Of an embedding the looked-up rows are widened and not the table, which would take twice its room in memory.
    """
    nodes: list[onnx.NodeProto] = []
    widened: set[str] = set()
    for node in graph.node:
        casts = []
        for place, name in enumerate(node.input):
            if name not in stored:
                continue
            if node.op_type == "Gather":
                rows = node.output[0]
                node.output[0] = f"{rows}_stored"
                casts.append(_cast(node.output[0], rows))
                continue
            node.input[place] = f"{name}_wide"
            if name not in widened:
                widened.add(name)
                nodes.append(_cast(name, node.input[place]))
        nodes += [node, *casts]
    del graph.node[:]
    graph.node.extend(nodes)


def _cast(source: str, target: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], to=onnx.TensorProto.FLOAT)


def _traced(model: nn.Module) -> onnx.ModelProto:
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
            output_names=[EMBEDDING],
            dynamic_axes={**{given: {0: "rows", 1: "tokens"} for given in INPUTS}, EMBEDDING: {0: "rows"}},
        )
    return onnx.load_model_from_string(written.getvalue())


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Order and name everything by what the output is made of, so that one model is one file.

    The tracer keeps the order of execution, in which transformers goes through a set for Gemma's rotary embeddings.
    """
    makers = {output: node for node in graph.node for output in node.output}
    kept = {value.name for value in [*graph.input, *graph.output]}
    ordered: list[onnx.NodeProto] = []
    names: dict[str, str] = {}
    path = [makers[value.name] for value in reversed(graph.output)]
    while path:
        node = path[-1]
        awaited = [makers[given] for given in node.input if given in makers and given not in names]
        if awaited:
            path.append(awaited[0])
            continue
        path.pop()
        if node.output[0] in names:
            continue
        names |= {name: name if name in kept else f"{len(names) + at}" for at, name in enumerate(node.output)}
        ordered.append(node)
    for number, node in enumerate(ordered):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [names.get(given, given) for given in node.input]
        node.output[:] = [names[made] for made in node.output]
    del graph.node[:]
    graph.node.extend(ordered)
    # What is known of values in between goes by their former names.
    del graph.value_info[:]
    inputs = {value.name: value for value in graph.input}
    del graph.input[:]
    graph.input.extend(inputs[name] for name in [*INPUTS, *sorted(inputs.keys() - {*INPUTS})])


def _put_in_weights(graph: onnx.GraphProto, model: nn.Module) -> None:
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    halved = set()
    for given in [*graph.input]:
        if given.name in INPUTS:
            continue
        graph.input.remove(given)
        weight = weights[given.name].detach()
        half = weight.half()
        # What was never in half precision stays as it is.
        if weight.ndim == 2 and torch.equal(half.float(), weight):
            weight = half
            halved.add(given.name)
        graph.initializer.append(numpy_helper.from_array(weight.numpy(), given.name))
    widen(graph, halved)


class _Graph(nn.Module):
    def __init__(self, model: PreTrainedModel, give: Give) -> None:
        super().__init__()
        self.model = model
        self.give = give

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.give(self.model, input_ids, attention_mask)


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
