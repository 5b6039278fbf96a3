"""Print the headline figures of the last run: `python -m stages.headline`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from stages.common.errors import DataError, run_stage
from stages.common.io import read_json
from stages.common.schema import FINAL, METRICS, PROVENANCES


def score_table(scores: dict[str, Any]) -> pd.DataFrame:
    """One row for each gold set, classifier and subset of `metrics/evaluate.json`; intervals in brackets.

    Of the students, the one of real rows alone and the final one.
    """
    rows = []
    for gold_set, by_who in scores.items():
        for who in (name for name in ("teacher", PROVENANCES[0], FINAL) if name in by_who):
            subsets = by_who[who]
            if "agreement" in subsets:
                rows.append({"reviews": gold_set, "by": who, "agreement": _with_interval(subsets, "agreement")})
                continue
            for subset, values in subsets.items():
                rows.append(
                    {
                        "reviews": gold_set,
                        "part": subset,
                        "rows": values["rows"],
                        "by": who if who == "teacher" else f"student ({who})",
                        "weighted F1": _with_interval(values, "weighted_f1"),
                        "macro F1": _with_interval(values, "macro_f1"),
                        "ECE": values["ece"],
                    }
                )
    return pd.DataFrame(rows)


def _with_interval(values: dict[str, Any], name: str) -> str:
    return f"{values[name]:.3f} [{values[f'{name}_low']:.3f}, {values[f'{name}_high']:.3f}]"


def main() -> None:
    """Print scores and latency."""
    files = {name: METRICS / f"{name}.json" for name in ("evaluate", "benchmark")}
    for path in files.values():
        if not path.is_file():
            raise DataError(f"{path} does not exist; run `make repro`")
    benchmark = read_json(files["benchmark"])
    single = benchmark["single"]
    print(score_table(read_json(files["evaluate"])).to_string(index=False, na_rep=""))
    print(
        f"\none review {single['mean_ms']:.1f} ms (median {single['p50_ms']:.1f}, 95% under {single['p95_ms']:.1f}); "
        f"in batches {benchmark['batched']['texts_per_second']:.0f} reviews a second"
    )


if __name__ == "__main__":
    run_stage(main)
