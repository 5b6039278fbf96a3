"""A prompt with a line of reasoning, which has everything that a prompt can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.composition.compose import compose
from stages.composition.params import Params
from tests.conftest import ROOT


@pytest.fixture
def params(tmp_path: Path) -> Params:
    """The default configuration, with that prompt, uncalibrated."""
    return compose(tmp_path / "params.yaml", ["prompt=product", "label.calibration=none"], ROOT / "conf")
