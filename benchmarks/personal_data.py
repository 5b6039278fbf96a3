"""Personal data in reviews: how much of it is masked, and how much else.

    python -m benchmarks.personal_data

`personal_data.csv` has short Russian texts written for this, with numbers of nobody: {braces} hold what is to be masked
whole, `kind` is the word that it becomes, or what a text without braces looks like. Rows `held_out` were written before
any pattern was tried and none was changed for them; rows `tuned` were looked at. A text counts as found if it comes out
with the right word in the right place and is else unchanged. Precision is of the words put into texts, recall of what
is in braces, each with its 95% interval (Wilson 1927). Prints a table and writes `benchmarks/personal_data.json`.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from stages.ingestion.cleaning import clean
from stages.running.io import write_json

FOLDER = Path(__file__).parent
ALL = "all"
_BRACES = re.compile(r"\{([^}]*)\}")
_MASK = re.compile(r"\[(\w+)\]")


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, and the ends of its 95% interval."""

    hits: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, hits: int, of: int) -> Share:
        interval = binomtest(hits, of).proportion_ci(method="wilson")
        return cls(hits, of, round(float(interval.low), 4), round(float(interval.high), 4))

    def __str__(self) -> str:
        return f"{self.hits / self.of:.3f} [{self.low:.3f}, {self.high:.3f}] of {self.of}"


@dataclass(frozen=True)
class Found:
    """What is masked rightly, of the masks put into texts and of what they hold; None for no mask at all."""

    precision: Share | None
    recall: Share


def main() -> None:
    """Mask all texts; print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FOLDER / "personal_data.json")
    output: Path = parser.parse_args().output
    rows = read_rows()
    found = {half: by_kind(part) for half, part in rows.groupby("half", sort=False)}
    print("| texts | kind | precision | recall |\n|---|---|---|---|")
    for half, kinds in found.items():
        for kind, shares in kinds.items():
            print(f"| {half} | {kind} | {shares.precision} | {shares.recall} |")
    negatives = {half: int((part["raw"] == part["wanted"]).sum()) for half, part in rows.groupby("half", sort=False)}
    kinds = {half: {kind: asdict(shares) for kind, shares in of.items()} for half, of in found.items()}
    write_json(output, {"by_kind": kinds, "texts_without_personal_data": negatives})


def read_rows(path: Path = FOLDER / "personal_data.csv") -> pd.DataFrame:
    """Columns half, kind, raw, wanted (how `raw` shall come out) and out (how it does)."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    raw = rows["text"].str.replace(_BRACES, r"\1", regex=True)
    wanted = [_BRACES.sub(f"[{kind}]", text) for kind, text in zip(rows["kind"], rows["text"], strict=True)]
    spaces = [" ".join(text.split()) for text in wanted]
    return rows[["half", "kind"]].assign(
        raw=raw.map(lambda text: " ".join(text.split())), wanted=spaces, out=raw.map(clean)
    )


def by_kind(rows: pd.DataFrame) -> dict[str, Found]:
    """Precision and recall by kind, and of all kinds together."""
    held, masked, right = Counter[str](), Counter[str](), Counter[str]()
    for _, row in rows.iterrows():
        masked.update(_MASK.findall(row["out"]))
        held.update(_MASK.findall(row["wanted"]))
        if row["out"] == row["wanted"]:
            right.update(_MASK.findall(row["wanted"]))
    found = {}
    for kind in [*held, ALL]:
        hits, of, put = (counts.total() if kind == ALL else counts[kind] for counts in (right, held, masked))
        found[kind] = Found(Share.counted(hits, put) if put else None, Share.counted(hits, of))
    return found


if __name__ == "__main__":
    main()
