"""What an edit to the code costs: the stages that DVC would run again, for every file in `stages/` at a time.

    python -m benchmarks.reruns [--at REVISION] [--files]

By the deps in `dvc.yaml` of a revision (without one, of the working tree); a definition that makes several stages
counts as so many. Beside the count, seconds: `benchmarks/stage_seconds.json` has what each stage took in one cold run
on two cores; a stage that it does not know counts nothing. `--files` prints every file with its stages.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from stages.running.io import read_json

SECONDS = Path("benchmarks/stage_seconds.json")
# Stages that fetch, ask a language model, embed or train.
EXPENSIVE = ("models", "label", "embed", "generate", "train")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", metavar="REVISION", help="a commit or branch; by default the working tree")
    parser.add_argument("--files", action="store_true", help="print every file with the stages that it reruns")
    arguments = parser.parse_args()
    seconds: dict[str, float] = read_json(SECONDS) if SECONDS.is_file() else {}
    files, stages = code_files(arguments.at), stage_deps(arguments.at)
    reruns = {
        file: [name for name, deps in stages.items() if any(file == dep or file.startswith(f"{dep}/") for dep in deps)]
        for file in files
    }
    if arguments.files:
        for file, names in reruns.items():
            print(f"{file}: {', '.join(names) or '-'}")
    all_reruns = [name for names in reruns.values() for name in names]
    expensive = sum(name.split("@")[0] in EXPENSIVE for name in all_reruns)
    cost = sum(count * seconds.get(name, 0.0) for name, count in Counter(all_reruns).items())
    cheap_edits = sum(not {name.split("@")[0] for name in names} & {*EXPENSIVE} for names in reruns.values())
    print(f"stages                                       {len(stages)}")
    print(f"files                                        {len(files)}")
    print(f"reruns, summed over the files                {len(all_reruns)}")
    print(f"reruns an edit, on average                   {len(all_reruns) / len(files):.2f}")
    print(f"of these, of stages that take minutes        {expensive / len(files):.2f}")
    print(f"files whose edit reruns no such stage        {cheap_edits} ({cheap_edits / len(files):.0%})")
    print(f"minutes an edit, on average                  {cost / len(files) / 60:.1f}")


def code_files(revision: str | None) -> list[str]:
    """The Python files in `stages/`."""
    if revision is None:
        return sorted(path.as_posix() for path in Path("stages").rglob("*.py"))
    return [name for name in _git("ls-tree", "-r", "--name-only", revision, "stages").split() if name.endswith(".py")]


def stage_deps(revision: str | None) -> dict[str, list[str]]:
    """The code among the deps of each stage that `dvc.yaml` makes."""
    source = Path("dvc.yaml").read_text(encoding="utf-8") if revision is None else _git("show", f"{revision}:dvc.yaml")
    found = {}
    for name, stage in yaml.safe_load(source)["stages"].items():
        deps = [dep for dep in stage.get("do", stage)["deps"] if dep.startswith("stages/")]
        for copy in copies(stage.get("foreach")):
            found[f"{name}@{copy}" if copy else name] = deps
    return found


def copies(each: Any) -> list[str]:
    """The names that a definition's `foreach` goes through, of which some stand in other files."""
    from stages.common.provenances import PROVENANCES

    if each is None:
        return [""]
    if isinstance(each, str):
        return {"${models}": ["teacher", "generator", "student", "embedder"], "${PROVENANCES}": PROVENANCES}[each]
    return list(each)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
