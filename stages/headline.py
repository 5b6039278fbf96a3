"""Print the headline figures of the last run: `python -m stages.headline`."""

from __future__ import annotations

import pandas as pd

from stages.common.errors import DataError, run_stage
from stages.common.figures import read_figures
from stages.common.io import DATA, METRICS, read_json
from stages.common.provenances import FINAL, REAL
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


def main() -> None:
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
