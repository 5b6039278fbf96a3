"""Stage `benchmark`: latency of one review and throughput of many, by the final student."""

from __future__ import annotations

import logging
import sys

from stages.common.config import load
from stages.common.errors import DataError, run_stage
from stages.common.io import read_table, write_json
from stages.common.schema import DATASET, FINAL, INGEST, METRICS, STUDENTS
from stages.latency.hardware import hardware
from stages.latency.timing import benchmark
from stages.modelling.predict import Classifier
from stages.modelling.rows import load_splits

logger = logging.getLogger(__name__)


def main() -> None:
    """Time the student on gold texts (or test texts); write `metrics/benchmark.json`; exit 1 beyond the limit."""
    params = load()
    texts = read_table(INGEST / "gold.parquet")["text"].to_list() if (INGEST / "gold.parquet").is_file() else []
    if not texts:
        texts = load_splits(DATASET, params.labels.names)["test"]["text"][:]
    if not texts:
        raise DataError("neither gold nor test rows to time the student on; raise data.test_share")
    measured = benchmark(Classifier(STUDENTS / FINAL).probabilities, texts, params.benchmark, params.seed)
    write_json(METRICS / "benchmark.json", {"variant": FINAL, **measured, "hardware": hardware()})
    single, batched = measured["single"], measured["batched"]
    logger.info("one review: %(mean_ms).1f ms on average, %(p95_ms).1f ms at the 95th percentile", single)
    logger.info("batches: %.0f reviews a second", batched["texts_per_second"])
    if not measured["within_limit"]:
        slowest = single["max_ms"] / 1000
        logger.error("the slowest review took %.2f s, the limit is %.2f s", slowest, params.benchmark.limit_seconds)
        sys.exit(1)


if __name__ == "__main__":
    run_stage(main)
