"""Stage `check`: refuse a params.yaml, or a file that it names, at which a stage would stop hours later."""

from __future__ import annotations

from stages.composition.inputs import check_inputs
from stages.composition.params import load_all
from stages.running.errors import run_stage
from stages.running.io import DATA, atomic_path


def main() -> None:
    """Read all of params.yaml and what it names; write `data/check/params.txt`, the same for all that is in order.

    So every other stage can wait for this one, and none is run again by what it finds.
    """
    check_inputs(load_all())
    with atomic_path(DATA / "check/params.txt") as temporary:
        temporary.write_text("every key and value of params.yaml is one that a stage takes\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
