"""Stage `benchmark`: latency of one review and throughput of many, by the student as it is exported."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict

from stages.inference.onnx_classifier import OnnxClassifier
from stages.latency.conditions import conditions
from stages.latency.config import Benchmark
from stages.latency.timing import measure
from stages.running.config import load, section
from stages.running.errors import DataError, run_stage
from stages.running.io import DATA, read_table, write_json

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    benchmark: Benchmark


def main() -> None:
    """Time the student on gold texts (or test texts); write `data/latency/`; exit 1 beyond the limit."""
    params = load(Params)
    texts = [*read_table(DATA / "ingest/gold.parquet")["text"]] or [*read_table(DATA / "dataset/test.parquet")["text"]]
    if not texts:
        raise DataError("neither gold nor test rows to time the student on; raise data.test_share")
    classifier = OnnxClassifier(DATA / "export/onnx")
    measured = measure(classifier.predict_proba, texts, params.benchmark, params.seed)
    about = {"file": classifier.file, "conditions": conditions(classifier.threads)}
    write_json(DATA / "latency/latency.json", {**asdict(measured), **about})
    single = measured.single
    logger.info("one review: %.1f ms on average, %.1f ms at the 95th percentile", single.mean_ms, single.p95_ms)
    logger.info("batches: %.0f reviews a second", measured.batched.texts_per_second)
    if not measured.within_limit:
        slowest = single.max_ms / 1000
        logger.error("the slowest review took %.2f s, the limit is %.2f s", slowest, params.benchmark.limit_seconds)
        sys.exit(1)


if __name__ == "__main__":
    run_stage(main)
