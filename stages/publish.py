"""Student and dataset to the Hugging Face hub, or into a ZIP: `make publish TO=you/name`, `make publish`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages.publishing.archive import write_archive
from stages.publishing.contents import Contents, contents
from stages.publishing.hub import check_name, push
from stages.publishing.terms import BOTH, Params, binding, check_accepted, check_made_with, notice, table, terms
from stages.running.config import load
from stages.running.errors import run_stage

ARCHIVE = Path("data/share.zip")


def main() -> None:
    """Tell what goes where and whose terms hold; then, unless it is a dry run, pass it on."""
    given = arguments()
    check_made_with()
    found = terms(load(Params))
    shared = BOTH if given.what == "both" else (given.what,)
    parts = [contents(what, notice(found, what)) for what in shared]
    names = {"student": given.to, "dataset": given.dataset_to or f"{given.to}-dataset"}
    for part in parts:
        if given.to:
            check_name(names[part.what])
    for line in plan(parts, names if given.to else {}, given.zip, public=given.public):
        print(line)
    print("", *table(binding(found, shared)), "", sep="\n", flush=True)
    if given.dry_run:
        print("Nothing was passed on: this was a dry run.")
        return
    check_accepted(binding(found, shared), given.accept)
    if not given.to:
        write_archive(given.zip, parts)
        print(f"{given.zip} is complete; unpacked, student/example.py answers wherever onnxruntime and tokenizers are")
        return
    for part in parts:
        pushed = push(names[part.what], part, public=given.public, prune=given.prune)
        print(f"the {part.what} is there: {pushed.commit}")
        if pushed.others:
            print(f"  beside it, of something else: {', '.join(pushed.others)}; --prune deletes them")


def arguments() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description="Pass on data/student and data/dataset, to the hub or as a ZIP.")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--to", default="", metavar="OWNER/NAME", help="the student's repository on the hub")
    place.add_argument("--zip", type=Path, default=ARCHIVE, metavar="FILE", help=f"without --to; else {ARCHIVE}")
    parser.add_argument("--dataset-to", default="", metavar="OWNER/NAME", help="the dataset's; else OWNER/NAME-dataset")
    parser.add_argument("--what", choices=("student", "dataset", "both"), default="both")
    parser.add_argument(
        "--public", action="store_true", help="for everybody to see; a new repository is private without"
    )
    parser.add_argument("--prune", action="store_true", help="delete from the repositories what is not of this run")
    parser.add_argument("--accept", nargs="+", action="extend", default=[], metavar="WORD", help="as the table says")
    parser.add_argument("--dry-run", action="store_true", help="tell what would go where, without a network")
    return parser.parse_args()


def plan(parts: Sequence[Contents], names: dict[str, str], archive: Path, *, public: bool) -> list[str]:
    """Lines with every file, its size in bytes, and where it goes: to the repositories of `names`, or the ZIP."""
    lines = []
    for part in parts:
        visible = "for everybody" if public else "private"
        where = f"the {part.kind} {names[part.what]} on the hub, {visible}" if names else f"{archive}, {part.what}/"
        total = sum(part.sizes.values())
        lines += [f"data/{part.what} to {where}: {len(part.files)} files, {total:,} bytes"]
        lines += [f"{size:>15,}  {name}" for name, size in part.sizes.items()]
    return lines


if __name__ == "__main__":
    run_stage(main, "The same command goes on from there.")
