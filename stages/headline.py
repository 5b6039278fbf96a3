"""Print the headline figures of the last run, and where its time went: `python -m stages.headline`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.common.figures import read_figures
from stages.common.provenances import FINAL, REAL
from stages.running.errors import DataError, run_stage
from stages.running.io import DATA, METRICS, read_json
from stages.running.record import Entry, duration, entries
from stages.scoring.agreement import AGREEMENT


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each gold set, part and classifier, of the students the first and the last; intervals in brackets."""
    chosen = scores[scores["who"].isin(["teacher", REAL, FINAL])]
    shown = chosen[["gold_set", "subset", "rows"]].set_axis(["reviews", "part", "rows"], axis=1)
    shown["by"] = [who if who == "teacher" else f"student ({who})" for who in chosen["who"]]
    if (chosen["gold_set"] == AGREEMENT).all():
        return shown.assign(agreement=_with_interval(chosen, "accuracy"))
    shown["weighted F1"] = _with_interval(chosen, "weighted_f1")
    shown["macro F1"] = _with_interval(chosen, "macro_f1")
    return shown.assign(ECE=chosen["ece"])


def _with_interval(scores: pd.DataFrame, name: str) -> list[str]:
    ends = zip(scores[name], scores[f"{name}_low"], scores[f"{name}_high"], strict=True)
    return [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in ends]


def time_table(run: Sequence[Entry]) -> pd.DataFrame:
    """A row for each stage that ran, and their sum."""
    rows = [(entry.stage, entry.seconds, entry.processor_seconds, entry.peak_gb, entry.work()) for entry in run]
    columns = ["stage", "took", "processor", "peak, GB", "did"]
    table = pd.DataFrame(rows, columns=columns)
    summed = ("all stages", table["took"].sum(), table["processor"].sum(), table["peak, GB"].max(), "")
    table = pd.concat([table, pd.DataFrame([summed], columns=columns)], ignore_index=True)
    table["peak, GB"] = table["peak, GB"].round(1)
    return table.assign(took=table["took"].map(duration), processor=table["processor"].map(duration))


def _to_the_left(table: pd.DataFrame) -> str:
    """`table` as text with the cells of its first and its last column, which are words, to the left."""
    words = [table.columns[0], table.columns[-1]]
    aligned = {name: table[name].str.ljust(table[name].str.len().max()) for name in words}
    return table.assign(**aligned).to_string(index=False, justify="left")


def print_times(since: float | None) -> None:
    """Print what the stages that began at `since` or later took; of all that ever ran, if that is None."""
    run = entries(since or 0.0)
    if run:
        print(f"\n{_to_the_left(time_table(run))}")
    if since is not None:
        # `make setup` leaves it when it is done.
        ready = Path(sys.prefix) / ".ready"
        setup = ready.stat().st_mtime - since if ready.is_file() else 0.0
        parts = f", {duration(setup)} of it for setting up" if setup > 0 else ""
        print(f"\nin all {duration(time.time() - since)}{parts}; what DVC found up to date is not listed")


def main() -> None:
    """Print scores, latency and times."""
    parser = argparse.ArgumentParser(description="Print scores and latency of the last run, and where its time went.")
    parser.add_argument("--since", type=float, help="seconds since 1970; what ran before is not listed")
    parser.add_argument("--times", action="store_true", help="where the time went alone")
    options = parser.parse_args()
    if not options.times:
        print_scores()
    print_times(options.since)


def print_scores() -> None:
    """Print scores and latency."""
    files = METRICS / "scores.csv", DATA / "latency/latency.json"
    for path in files:
        if not path.is_file():
            raise DataError(f"{path} does not exist; run `make repro`")
    latency = read_json(files[1])
    single = latency["single"]
    print(score_table(read_figures(files[0])).to_string(index=False, na_rep=""))
    print(
        f"\none review {single['mean_ms']:.1f} ms (median {single['p50_ms']:.1f}, 95% under {single['p95_ms']:.1f}); "
        f"in batches {latency['batched']['texts_per_second']:.0f} reviews a second"
    )


if __name__ == "__main__":
    run_stage(main)
