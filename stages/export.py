"""Stage `export`: the student in use as ONNX, in fp32 and int8, for ONNX Runtime alone."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stages.common.labels import Labels
from stages.common.provenances import FINAL
from stages.exporting.config import Export
from stages.exporting.folder import use, write_onnx
from stages.exporting.gate import Gate, Rows, gate_rows, judge
from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.config import Answer
from stages.inference.onnx_classifier import FULL, QUANTIZED, OnnxClassifier
from stages.running.config import load, section
from stages.running.errors import ModelError, run_stage
from stages.running.io import DATA, atomic_folder, write_json

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
    # Known since the student's confidence was fitted to them.
    itself = student_probabilities(source, rows.texts, params.answer.batch_size)
    # By torch, and in fp32 as the graph: `itself` may be from training, from a card, or from a part of this graph.
    exact = Classifier(source, "cpu").predict_proba(rows.texts[:FEW])
    write_onnx(source, folder)
    fp32 = OnnxClassifier(folder).predict_proba(rows.texts[:FEW])
    use(folder, QUANTIZED)
    int8 = OnnxClassifier(folder).predict_proba(rows.texts)
    gate = judge(rows, itself, int8, float(np.abs(fp32 - exact).max()), params.export.max_f1_drop)
    if gate.max_difference_fp32 > ROUNDING:
        raise ModelError(
            f"{FULL} answers by {gate.max_difference_fp32:g} otherwise than {source}: ONNX has no equal of "
            "this architecture; choose another student"
        )
    if not gate.passed:
        use(folder, FULL)
        logger.warning(
            "int8 takes macro F1 from %.4f to %.4f on %d rows, more than export.max_f1_drop=%g: %s is used",
            gate.macro_f1, gate.macro_f1_int8, gate.rows, gate.max_f1_drop, FULL,
        )  # fmt: skip
    return gate


if __name__ == "__main__":
    run_stage(main)
