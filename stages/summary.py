"""Stage `summary`: some ten figures that a reviewer looks at first, for `dvc metrics diff` and `dvc exp show`."""

from __future__ import annotations

from stages.common.figures import read_figures
from stages.common.provenances import FINAL, SYNTHETIC_STEPS
from stages.running.errors import run_stage
from stages.running.io import DATA, METRICS, read_json, write_json
from stages.scoring.summary import summary


def main() -> None:
    """Read scores, gains, measures and latency; write `metrics/summary.json`."""
    accepted = {step: read_json(DATA / f"measures/{step}.json")["accepted_share"] for step in SYNTHETIC_STEPS}
    figures = summary(
        read_figures(METRICS / "scores.csv"),
        read_figures(METRICS / "gain.csv"),
        FINAL,
        read_json(DATA / "measures/curation.json")["changed_share"],
        accepted,
        read_json(DATA / "latency/latency.json"),
        read_json(DATA / "measures/answers.json"),
    )
    write_json(METRICS / "summary.json", figures)


if __name__ == "__main__":
    run_stage(main)
