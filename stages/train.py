"""Stage `train`: fine-tune the student on the rows of one variant (`python -m stages.train real`)."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shutil

from transformers import set_seed

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import write_json
from stages.common.schema import DATASET, INGEST, METRICS, MODELS, PROVENANCES, STUDENTS
from stages.modelling.checkpoints import run_folder
from stages.modelling.curves import LiveCurves
from stages.modelling.gold import labelled_gold
from stages.modelling.rows import checked_rows, load_splits, variant_rows
from stages.modelling.student import build_student, save_student
from stages.modelling.trainer import fine_tune

logger = logging.getLogger(__name__)


def main() -> None:
    """Write `data/students/<variant>/`, `metrics/train/<variant>/` (curves) and `metrics/train_<variant>.json`."""
    parser = argparse.ArgumentParser(description="Fine-tune the student on the train rows up to one provenance.")
    parser.add_argument("variant", choices=PROVENANCES, help="the last provenance whose rows are learned from")
    variant: str = parser.parse_args().variant

    params = load()
    splits = load_splits(DATASET, params.labels.names)
    train_rows, validation_rows = variant_rows(splits["train"], variant), splits["validation"]
    checked = labelled_gold(INGEST / "calibration.parquet", params.labels.names)
    calibration_rows = validation_rows if checked.empty else checked_rows(checked, validation_rows)
    logger.info("%s: %d train rows, %d validation rows", variant, len(train_rows), len(validation_rows))

    settings = {"train": dataclasses.asdict(params.train), "seed": params.seed, "variant": variant}
    weights = MODELS / "student"
    set_seed(params.seed)
    model, tokenizer = build_student(weights, params.labels.names, params.train)
    checkpoints = run_folder(settings, weights, train_rows, validation_rows)
    curves = LiveCurves(METRICS / "train" / variant)
    calibration = {"rows": len(calibration_rows), "checked": not checked.empty}
    result = fine_tune(
        model,
        tokenizer,
        train_rows,
        validation_rows,
        calibration_rows,
        params.train,
        params.seed,
        checkpoints,
        callbacks=[curves],
    )

    student = STUDENTS / variant
    shutil.rmtree(student, ignore_errors=True)
    save_student(model, tokenizer, student, params.train.precision)
    write_json(
        METRICS / f"train_{variant}.json",
        {
            "rows": len(train_rows),
            "best_epoch": result.best_epoch,
            "validation_macro_f1": round(result.macro_f1, 4),
            "temperature": round(result.temperature, 3),
            "calibration": calibration if params.train.temperature_scaling else None,
            "seconds": round(result.seconds, 1),
            "resumed_from_epoch": result.resumed_from_epoch,
        },
    )
    shutil.rmtree(checkpoints)


if __name__ == "__main__":
    run_stage(main)
