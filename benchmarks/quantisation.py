"""What int8 costs and saves, by how it is made: `python -m benchmarks.quantisation data/students/style`.

Every form of a student answers the gold reviews. Cosine: of the probabilities' logarithms, centred, to those of fp32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import helper
from sklearn.metrics import f1_score

from stages.common.arrays import FloatArray, label_indices
from stages.common.gold import labelled_gold
from stages.exporting import quantization
from stages.exporting.folder import use, write_onnx
from stages.inference.folder import read_labels
from stages.inference.onnx_classifier import FULL, OnnxClassifier

SINGLES = 40
Write = Callable[[Path, Path], None]


class PerBatch(quantization._Quantization):
    """Ordinary dynamic quantisation: activations of a whole batch have one scale."""

    without: tuple[str, ...] = ()

    def _linear(self, node: onnx.NodeProto, weight: str) -> list[onnx.NodeProto]:
        if any(part in node.name for part in self.without):
            return [node]
        whole, scale = quantization._rounded(self._tensor(weight).T, axis=0, largest=quantization.LARGEST_WEIGHT)
        self._add(f"{weight}_int8", whole)
        self._add(f"{weight}_scale", scale.ravel())
        inputs = [node.input[0], f"{weight}_int8", f"{weight}_scale"]
        return [helper.make_node("DynamicQuantizeMatMul", inputs, node.output, node.name, domain="com.microsoft")]


class PerBatchButDown(PerBatch):
    """The same, with the layers whose inputs are largest in fp32."""

    without = ("down_proj", "output.dense", "output/dense")


class Blocks(quantization._Quantization):
    """Weights in blocks of 128 (`MatMulNBits`), and the activations that meet them."""

    bits = 8

    def _linear(self, node: onnx.NodeProto, weight: str) -> list[onnx.NodeProto]:
        values = self._tensor(weight)
        outputs, inputs = values.shape
        blocks = values.reshape(outputs, inputs // 128, 128)
        largest = 2 ** (self.bits - 1) - 1
        whole, scale = quantization._rounded(blocks, axis=2, largest=largest)
        unsigned = (whole.astype(np.int16) + largest + 1).astype(np.uint8)
        packed = unsigned if self.bits == 8 else unsigned[..., 0::2] | (unsigned[..., 1::2] << 4)
        self._add(f"{weight}_blocks", packed)
        self._add(f"{weight}_scale", scale[..., 0])
        settings = {"K": inputs, "N": outputs, "bits": self.bits, "block_size": 128, "accuracy_level": 4}
        names = [node.input[0], f"{weight}_blocks", f"{weight}_scale"]
        return [helper.make_node("MatMulNBits", names, node.output, node.name, domain="com.microsoft", **settings)]


class Blocks4(Blocks):
    """The same in 4 bits."""

    bits = 4


def forms() -> dict[str, Write | None]:
    """What is compared, by name; fp32 first."""
    made: dict[str, Write | None] = {"fp32": None}
    for form in (quantization._Quantization, PerBatch, PerBatchButDown, Blocks, Blocks4):
        made[form.__name__.strip("_")] = writer(form)
    return made


def writer(form: type[quantization._Quantization]) -> Write:
    def write(source: Path, target: Path) -> None:
        usual, quantization._Quantization = quantization._Quantization, form  # type: ignore[misc]
        try:
            quantization.write_quantized(source, target)
        finally:
            quantization._Quantization = usual  # type: ignore[misc]

    return write


def centred(probabilities: FloatArray) -> FloatArray:
    logarithms = np.log(np.maximum(probabilities, 1e-12))
    found: FloatArray = logarithms - logarithms.mean(axis=1, keepdims=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    source: Path = parser.parse_args().student
    labels = read_labels(source)
    gold = labelled_gold(Path("data/ingest/gold.parquet"), labels)
    texts, actual = gold["text"].to_list(), label_indices(gold["label"], labels)
    table, right = [], np.empty(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_onnx(source, folder)
        for name, write in forms().items():
            file = f"{name}.onnx" if write else FULL
            if write:
                write(folder / FULL, folder / file)
            use(folder, file)
            start = time.perf_counter()
            classifier = OnnxClassifier(folder)
            loaded = time.perf_counter()
            given = classifier.predict_proba(texts)
            answered = time.perf_counter()
            for text in texts[:SINGLES]:
                classifier.predict_proba([text])
            done = time.perf_counter()
            right = given if write is None else right
            one, other = centred(given), centred(right)
            cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
            table.append(
                {
                    "form": name,
                    "macro F1": f1_score(actual, given.argmax(axis=1), average="macro"),
                    "other answers": int((given.argmax(axis=1) != right.argmax(axis=1)).sum()),
                    "mean cosine": cosine.mean(),
                    "least cosine": cosine.min(),
                    "ms of many": 1000 * (answered - loaded) / len(texts),
                    "ms alone": 1000 * (done - answered) / len(texts[:SINGLES]),
                    "s to load": loaded - start,
                    "MB": (folder / file).stat().st_size / 1e6,
                }
            )
            if write:
                (folder / file).unlink()
    print(pd.DataFrame(table).round(4).to_markdown(index=False))


if __name__ == "__main__":
    main()
