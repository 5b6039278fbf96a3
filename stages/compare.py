"""What changed between the run of another revision and this one: `python -m stages.compare REVISION`."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from stages.comparing.changes import MOST_ROWS, Figures, changes
from stages.comparing.revision import opened
from stages.comparing.side import FILES, answers_file, read_side
from stages.reporting.page import page
from stages.running.config import PARAMS, load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, atomic_path
from stages.scoring.config import Evaluate

# Of two revisions, and so an output of no stage; Git ignores it.
PAGE = DATA / "comparison.html"
LISTS = ("predictions", "labels", "answers")


@section
class Params:
    """What this command reads of params.yaml."""

    seed: int
    evaluate: Evaluate


def main() -> None:
    """Write `data/comparison.html` and print the figures that a reader looks for first."""
    parser = argparse.ArgumentParser(description="What changed between the run of a revision and that of this tree.")
    parser.add_argument("revision", help="a commit, tag or branch, or an experiment of `dvc exp show`")
    compared = compare(parser.parse_args().revision)
    lists = {name: compared[name]["list"] for name in LISTS if compared[name] and compared[name]["changed"]}
    html = page({**compared, "lists": lists, "most": MOST_ROWS}, "comparison.html.jinja", "reviews.js")
    with atomic_path(PAGE) as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(as_text(compared))
    print(f"\n{PAGE}")


def compare(name: str) -> Figures:
    """What changed from the run of revision `name` to that of the working tree, and what is `missing` of either.

    Raises:
        DataError: there is no such revision, no Git, or no run in one of the two.
    """
    params = load(Params)
    here = Path()
    after = read_side(here, "the working tree")
    with TemporaryDirectory() as scratch, opened(name) as revision:
        folder, other = Path(scratch), f"revision {name!r} ({revision.commit[:12]})"
        missing = revision.fetch(list(map(str, FILES)), folder)
        if str(PARAMS) not in missing:
            missing |= revision.fetch([str(answers_file(folder, other))], folder)
        before = read_side(folder, other)
    return {
        **changes(before, after, params.evaluate, params.seed),
        "revision": name,
        "commit": revision.commit[:12],
        "missing": [f"{path}: {why} in revision {name}" for path, why in missing.items()]
        + [f"{path}: not in the working tree" for path in FILES if not path.is_file()],
        "coverage": f"{params.evaluate.coverage:.0%}",
    }


def as_text(compared: Figures) -> str:
    """A short table for the terminal."""
    summary = [
        (change["name"], *(_cell(change[side]) for side in ("before", "after", "difference")))
        for change in compared["summary"]
    ]
    lines = [pd.DataFrame(summary, columns=["", "before", "now", "difference"]).to_string(index=False), ""]
    for pair in (compared["predictions"] or {}).get("sets", []):
        paired = pair["paired"]
        macro = paired.measures["macro_f1"]
        lines.append(
            f"{pair['name']}: macro F1 {macro.difference:+.3f} [{macro.low:+.3f}, {macro.high:+.3f}], "
            f"{paired.now_right} now right, {paired.now_wrong} now wrong (McNemar p = {paired.p_value:.2g})"
        )
    counted = {name: compared[name]["changed"] for name in LISTS if compared[name]}
    counted["settings"] = len(compared["settings"])
    lines.append("changed: " + ", ".join(f"{name} {count}" for name, count in counted.items()))
    return "\n".join([*lines, *compared["missing"]])


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    run_stage(main)
