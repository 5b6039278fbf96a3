"""The graph in int8: weights of linear layers by column, activations by row as they come, embeddings by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# Processors with AVX2 alone add two products of 8 bits in 16, which overflow unless one factor has 7 bits.
LARGEST_WEIGHT = 63
# An activation is at most as large as its row's largest, which becomes 127; unsigned, around this zero.
LARGEST_ACTIVATION, ZERO = 127, 128

Array = npt.NDArray[np.floating]


def write_quantized(source: Path, target: Path) -> None:
    """Write the graph in `source`, of `write_classifier`, with embeddings and linear layers in int8; not the head.

    Activations have a scale for each token. One for the whole batch, which ordinary dynamic quantisation takes, is set
    by the few tokens and channels that are a hundred times as large as the rest, and what a text is answered would
    depend on those beside it.
    """
    model = onnx.load(source)
    quantization = _Quantization(model.graph)
    nodes = [made for node in model.graph.node for made in quantization.of(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model.graph)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, target)


class _Quantization:
    """What stands in the place of a graph's nodes; new tensors are added to the graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._made = {output: node for node in graph.node for output in node.output}
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._rounded: set[str] = set()
        self._add("largest_activation", np.array(1 / LARGEST_ACTIVATION, dtype=np.float32))
        self._add("zero", np.array(ZERO, dtype=np.uint8))
        self._add("smallest", np.array(1e-20, dtype=np.float32))
        self._add("last_axis", np.array([-1]))

    def of(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes in the place of `node`, which are itself where there is nothing to quantise."""
        if node.op_type == "Gather" and self._is_half(node.input[0]):
            return self._lookup(node)
        if node.op_type == "MatMul" and (weight := self._linear_weight(node.input[1])):
            return self._linear(node, weight)
        return [node]

    def _lookup(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Rows of an embedding, whose scale stands beside them; in half precision, as what they replace."""
        table, ids, rows = node.input[0], node.input[1], node.output[0]
        whole, scale = _rounded(self._tensor(table), axis=1, largest=127)
        self._add(f"{table}_int8", whole)
        self._add(f"{table}_scale", scale.astype(np.float16))
        return [
            helper.make_node("Gather", [f"{table}_int8", ids], [f"{rows}_int8"]),
            helper.make_node("Gather", [f"{table}_scale", ids], [f"{rows}_scale"]),
            helper.make_node("Cast", [f"{rows}_int8"], [f"{rows}_whole"], to=TensorProto.FLOAT16),
            helper.make_node("Mul", [f"{rows}_whole", f"{rows}_scale"], [rows]),
        ]

    def _linear(self, node: onnx.NodeProto, weight: str) -> list[onnx.NodeProto]:
        inputs, outputs = node.input[0], node.output[0]
        whole, scale = _rounded(self._tensor(weight).T, axis=0, largest=LARGEST_WEIGHT)
        self._add(f"{weight}_int8", whole)
        self._add(f"{weight}_scale", scale.ravel())
        product = helper.make_node(
            "MatMulIntegerToFloat",
            [f"{inputs}_int8", f"{weight}_int8", "largest_activation", f"{weight}_scale", "zero"],
            [f"{outputs}_of_rows"],
            node.name,
            domain="com.microsoft",
        )
        rescaled = helper.make_node("Mul", [f"{outputs}_of_rows", f"{inputs}_largest"], [outputs])
        return [*self._round(inputs), product, rescaled]

    def _round(self, name: str) -> list[onnx.NodeProto]:
        """Divide rows by their largest activation, and round; several layers may have the same input."""
        if name in self._rounded:
            return []
        self._rounded.add(name)
        return [
            helper.make_node("Abs", [name], [f"{name}_abs"]),
            helper.make_node("ReduceMax", [f"{name}_abs", "last_axis"], [f"{name}_max"], keepdims=1),
            helper.make_node("Max", [f"{name}_max", "smallest"], [f"{name}_largest"]),
            helper.make_node("Div", [name, f"{name}_largest"], [f"{name}_share"]),
            helper.make_node("QuantizeLinear", [f"{name}_share", "largest_activation", "zero"], [f"{name}_int8"]),
        ]

    def _linear_weight(self, name: str) -> str | None:
        """The stored weight, shape (outputs, inputs), that is widened and transposed to `name`; if it is one."""
        for kind in ("Transpose", "Cast"):
            node = self._made.get(name)
            if node is None or node.op_type != kind:
                return None
            name = node.input[0]
        return name if self._is_half(name) else None

    def _is_half(self, name: str) -> bool:
        return name in self._stored and self._stored[name].data_type == TensorProto.FLOAT16

    def _tensor(self, name: str) -> Array:
        return numpy_helper.to_array(self._stored[name]).astype(np.float32)

    def _add(self, name: str, values: npt.NDArray[np.generic]) -> None:
        self._graph.initializer.append(numpy_helper.from_array(values, name))


def _rounded(values: Array, axis: int, largest: int) -> tuple[npt.NDArray[np.int8], Array]:
    """`values` as whole numbers of at most `largest`, and their scale along `axis`, which it keeps with length 1."""
    scale = np.abs(values).max(axis=axis, keepdims=True) / largest
    scale[scale == 0] = 1
    return np.round(values / scale).astype(np.int8), scale


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes and tensors that lead to no output."""
    used = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            used.update(node.input)
            nodes.append(node)
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(tensors)
