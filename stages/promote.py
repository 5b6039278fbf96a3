"""Make params.yaml what conf/ composes, after `dvc exp apply`: `python -m stages.promote NAME`."""

from __future__ import annotations

import argparse

from stages.composition.promote import promote
from stages.running.errors import run_stage


def main() -> None:
    """Write `conf/experiment/NAME.yaml` and select it in `conf/config.yaml`."""
    parser = argparse.ArgumentParser(description="Keep the settings in params.yaml as an experiment of conf/.")
    parser.add_argument("name", help="of the new file in conf/experiment/")
    print(f"{promote(parser.parse_args().name)} is selected in conf/config.yaml")


if __name__ == "__main__":
    run_stage(main)
