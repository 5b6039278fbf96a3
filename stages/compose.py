"""Compose `params.yaml` from conf/: `python -m stages.compose [group=option …]`."""

from __future__ import annotations

import sys

from stages.common.config import PARAMS
from stages.common.errors import run_stage
from stages.composition.compose import compose


def main() -> None:
    """Write params.yaml."""
    compose(PARAMS, sys.argv[1:])


if __name__ == "__main__":
    run_stage(main)
