"""Stage `train`: the student that learns from the rows up to one provenance (`python -m stages.train real`)."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shutil
import time
from pathlib import Path

from stages.common.gold import labelled_gold
from stages.common.labels import Labels
from stages.common.manifest import write_manifest
from stages.common.provenances import PROVENANCES
from stages.distilling.config import Distil
from stages.inference.folder import TRAINING, check_student, read_head, write_like
from stages.running.config import load, section
from stages.running.errors import ModelError, run_stage
from stages.running.io import DATA, METRICS, atomic_folder, read_json, write_json
from stages.training.checkpoints import run_folder
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.learning import Learning, Rows, learn_all, learn_head
from stages.training.rows import Calibration, calibration_rows, load_rows, variant_rows

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    distil: Distil
    train: Train


def main() -> None:
    """Write `data/students/<variant>/` and the curves `metrics/train/<variant>/`."""
    parser = argparse.ArgumentParser(description="Train the student on the train rows up to one provenance.")
    parser.add_argument("variant", choices=PROVENANCES, help="the last provenance whose rows are learned from")
    variant: str = parser.parse_args().variant
    params = load(Params)
    rows, calibration = read_rows(params.labels.names, variant)
    logger.info("%s: %d train rows, %d validation rows", variant, len(rows.train), len(rows.validation))

    start = time.perf_counter()
    encoder = Encoder(params.distil.encoder, params.labels.names, params.train, params.seed)
    curves = Curves(METRICS / "train" / variant)
    # What is computed twice comes out the same: a run that memory did not suffice for goes on with less.
    how = dataclasses.asdict(params.train) | {"gradient_checkpointing": None}
    what = {"train": how, "seed": params.seed, "encoder": encoder.identity, "variant": variant}
    checkpoints = run_folder(what, rows.train, rows.validation) if params.train.epochs else None
    target = DATA / "students" / variant
    with atomic_folder(target) as folder:
        if checkpoints:
            result = fine_tuned(encoder, rows, params, folder, checkpoints, curves)
        else:
            result = probed(encoder, rows, params, folder, curves, twin_of(encoder, target))
        fitted_to = {
            "rows": len(rows.calibration),
            "checked": calibration.checked,
            "answered": calibration.answered,
        }
        write_json(
            folder / TRAINING,
            {
                "rows": len(rows.train),
                "best_epoch": result.best_epoch,
                "validation_macro_f1": round(result.macro_f1, 4),
                "temperature": round(result.temperature, 3),
                "calibration": fitted_to if params.train.temperature_scaling else None,
                # Of a trained encoder nobody else has the like.
                "encoder": None if params.train.epochs else encoder.identity,
                # Where what it gives for a text may be found, if others share it.
                "means": encoder.means if encoder.is_frozen else None,
            },
        )
        write_manifest(folder)
    if checkpoints:
        shutil.rmtree(checkpoints)
    logger.info("%s: learnt in %.1f s", variant, time.perf_counter() - start)


def read_rows(names: list[str], variant: str) -> tuple[Rows, Calibration]:
    """The rows of one student, and which of them its confidence is fitted to."""
    validation = load_rows(DATA / "dataset", "validation", names)
    calibration = calibration_rows(labelled_gold(DATA / "ingest/calibration.parquet", names), validation)
    train = variant_rows(load_rows(DATA / "dataset", "train", names), variant)
    return Rows(train, validation, calibration.rows), calibration


def probed(encoder: Encoder, rows: Rows, params: Params, folder: Path, curves: Curves, twin: Path | None) -> Learning:
    """A student that is a head on the encoder as it is; where a `twin` has this encoder, none is loaded."""
    bias = read_head(twin).bias is not None if twin else encoder.has_bias()
    head, result = learn_head(encoder, rows, params.train, curves, bias=bias)
    if twin:
        write_like(twin, head, folder)
    else:
        encoder.write_with(head, folder)
    return result


def fine_tuned(
    encoder: Encoder, rows: Rows, params: Params, folder: Path, checkpoints: Path, curves: Curves
) -> Learning:
    """A student whose encoder is trained; an interrupted training goes on from its last checkpoint."""
    model, tokenizer = encoder.student()
    result = learn_all(model, tokenizer, encoder, rows, params.train, params.seed, checkpoints, curves)
    if result.resumed_from_epoch:
        logger.info("went on from epoch %d", result.resumed_from_epoch)
    encoder.write(folder)
    return result


def twin_of(encoder: Encoder, folder: Path) -> Path | None:
    """Another student of this run than the one in `folder` that has the same encoder, if one is whole."""
    for note in sorted(folder.parent.glob(f"[!.]*/{TRAINING}")):
        other = note.parent
        try:
            check_student(other)
        except ModelError as error:
            logger.warning("not the encoder of %s: %s", other, error)
            continue
        if other != folder and read_json(note).get("encoder") == encoder.identity:
            return other
    return None


if __name__ == "__main__":
    run_stage(main, "Vectors computed and epochs finished so far are stored; the same command goes on from there.")
