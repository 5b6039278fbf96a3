"""Compose `params.yaml` from conf/: `python -m stages.compose [group=option key=value …]`.

`--line` has them all in one argument, as `make params` hands SET on: no shell reads the brackets of a file's name.
"""

from __future__ import annotations

import argparse

from stages.composition.compose import compose
from stages.composition.inputs import check_inputs
from stages.composition.overrides import split
from stages.running.config import PARAMS
from stages.running.errors import run_stage


def main() -> None:
    """Write params.yaml."""
    parser = argparse.ArgumentParser(description="Compose params.yaml from conf/.")
    parser.add_argument("overrides", nargs="*", help="group=option, or key=value")
    parser.add_argument("--line", default="", help="more of them, separated by spaces outside of quotes")
    arguments = parser.parse_args()
    compose(PARAMS, [*arguments.overrides, *split(arguments.line)], check=check_inputs)


if __name__ == "__main__":
    run_stage(main)
