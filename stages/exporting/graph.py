"""A student as an ONNX graph: token ids in, probabilities out; pooling, head, lexicon, temperature, softmax inside.

What reaches the head comes out too: by it, texts are near to one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.common.arrays import Vectors
from stages.encoding.graph import INPUTS, graph_of, widen
from stages.encoding.lexicon import LEAST
from stages.encoding.runtime import EMBEDDING
from stages.inference.answers import encoder_graph
from stages.inference.classifier import Classifier
from stages.inference.features import last_linear, one_a_text
from stages.inference.folder import read_head
from stages.inference.head import Head
from stages.inference.onnx_classifier import PROBABILITIES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def write_classifier(source: Path, path: Path) -> None:
    """Write a graph of the student in `source`: ids and mask (rows, tokens) to `probabilities` (rows, labels).

    A second output, `embedding` (rows, features), is what `inference.features` keeps of a text. A frozen encoder is not
    traced again: its graph has computed the features that the head learnt from.
    """
    shared = encoder_graph(source)
    model = onnx.load(shared) if shared else graph_of(Classifier(source, "cpu").model, _head_inputs)
    _store_in_half_precision(model.graph)
    _append(model.graph, read_head(source))
    onnx.save(model, path)


def _head_inputs(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = last_linear(model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(input_ids=ids, attention_mask=mask)
    hook.remove()
    return one_a_text(seen.pop(), mask)


def _store_in_half_precision(graph: onnx.GraphProto) -> None:
    """Store matrices as the student's folder does; a frozen encoder may come from more precise ones."""
    halved = set()
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
            halved.add(tensor.name)
    widen(graph, halved)


def _append(graph: onnx.GraphProto, head: Head) -> None:
    """Put the head, which has the temperature in it, and softmax after the encoder."""
    stored = {"head_weight": head.weight, "head_bias": head.bias}
    weights = {name: tensor.numpy() for name, tensor in stored.items() if tensor is not None}
    graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in weights.items())
    graph.node.append(helper.make_node("Gemm", [EMBEDDING, *weights], ["of_encoder"], transB=1))
    logits = "of_encoder"
    if head.lexicon is not None:
        _append_lexicon(graph, head.lexicon.numpy(), logits, "logits")
        logits = "logits"
    graph.node.append(helper.make_node("Softmax", [logits], [PROBABILITIES], axis=-1))
    shape: tuple[str, int] = ("rows", len(head.weight))
    graph.output.insert(0, helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape))


def _append_lexicon(graph: onnx.GraphProto, table: Vectors, logits: str, target: str) -> None:
    """Add what the tokens say by themselves to `logits`, as `SentenceClassifier` does; the table stays in fp32."""
    labels = table.shape[1] - 1
    stored = {"lexicon": table, "least": np.array(LEAST, dtype=np.float32)}
    stored |= {"tokens_axis": np.array([1]), "last": np.array([-1]), "parts": np.array([labels, 1])}
    graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in stored.items())
    ids, mask = INPUTS
    graph.node.extend(
        [
            helper.make_node("Gather", ["lexicon", ids], ["of_tokens"]),
            helper.make_node("Cast", [mask], ["mask_float"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask_float", "last"], ["seen"]),
            helper.make_node("Mul", ["of_tokens", "seen"], ["of_seen"]),
            helper.make_node("ReduceSum", ["of_seen", "tokens_axis"], ["said"], keepdims=0),
            helper.make_node("Split", ["said", "parts"], ["said_for", "said_weights"], axis=1),
            helper.make_node("Max", ["said_weights", "least"], ["said_weight"]),
            helper.make_node("Sqrt", ["said_weight"], ["said_length"]),
            helper.make_node("Div", ["said_for", "said_length"], ["of_lexicon"]),
            helper.make_node("Add", [logits, "of_lexicon"], [target]),
        ]
    )
