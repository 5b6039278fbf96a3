"""Stage `export`: the student in use as ONNX, in fp32 and int8, for ONNX Runtime alone."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stages.common.arrays import FloatArray
from stages.common.config import load, section
from stages.common.errors import ModelError, run_stage
from stages.common.io import DATA, atomic_folder, write_json
from stages.common.labels import Labels
from stages.common.links import link_or_copy
from stages.common.provenances import FINAL
from stages.exporting.config import Export
from stages.exporting.gate import Gate, Rows, gate_rows, judge
from stages.exporting.graph import write_classifier
from stages.exporting.quantization import write_quantized
from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.config import Answer
from stages.inference.onnx_classifier import FULL, QUANTIZED, TOKENIZER, OnnxClassifier, describe

logger = logging.getLogger(__name__)

# The fp32 graph is asked a few rows alone: the arithmetic is the student's, so that a fault shows in each of them.
FEW = 8
# Sums in another order; temperature, which sharpens, makes more of it.
ROUNDING = 1e-3


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    answer: Answer
    export: Export


def main() -> None:
    """Write `data/export/onnx/`, which `OnnxClassifier` reads, and what int8 costs: `data/export/gate.json`."""
    params = load(Params)
    rows = gate_rows(DATA, params.labels.names)
    with atomic_folder(DATA / "export") as folder:
        (folder / "onnx").mkdir()
        gate = export(DATA / "students" / FINAL, folder / "onnx", rows, params)
        file = QUANTIZED if gate.passed else FULL
        write_json(folder / "gate.json", {"file": file, **asdict(gate)})
        size = (folder / "onnx" / file).stat().st_size / 1e6
    logger.info("%s is used, %.0f MB; macro F1 %.4f, of int8 %.4f", file, size, gate.macro_f1, gate.macro_f1_int8)


def export(source: Path, folder: Path, rows: Rows, params: Params) -> Gate:
    """Write the student in `source` to `folder`, described so that int8 is used if it may be.

    Raises:
        ModelError: the graph does not answer as the student does.
    """
    link_or_copy(source / TOKENIZER, folder / TOKENIZER)
    # Known since the student's confidence was fitted to them.
    itself = student_probabilities(source, rows.texts, params.answer.batch_size)
    # By the weights as they are stored and in fp32, as the graph: `itself` may be from training, and from a card.
    student = Classifier(source, "cpu")
    exact = student.predict_proba(rows.texts[:FEW], params.answer.batch_size)
    tokenizer = student.tokenizer
    write_classifier(student.model, folder / FULL)
    write_quantized(folder / FULL, folder / QUANTIZED)

    def answers(file: str, texts: list[str]) -> FloatArray:
        describe(folder, student.labels, tokenizer.model_max_length, tokenizer.pad_token_id, file)
        return OnnxClassifier(folder).predict_proba(texts, params.answer.batch_size)

    fp32, int8 = answers(FULL, rows.texts[:FEW]), answers(QUANTIZED, rows.texts)
    gate = judge(rows, itself, int8, float(np.abs(fp32 - exact).max()), params.export.max_f1_drop)
    if gate.max_difference_fp32 > ROUNDING:
        raise ModelError(
            f"{FULL} answers by {gate.max_difference_fp32:g} otherwise than {source}: ONNX has no equal of "
            "this architecture; choose another student"
        )
    if not gate.passed:
        describe(folder, student.labels, tokenizer.model_max_length, tokenizer.pad_token_id, FULL)
        logger.warning(
            "int8 takes macro F1 from %.4f to %.4f on %d rows, more than export.max_f1_drop=%g: %s is used",
            gate.macro_f1, gate.macro_f1_int8, gate.rows, gate.max_f1_drop, FULL,
        )  # fmt: skip
    return gate


if __name__ == "__main__":
    run_stage(main)
