"""docs/gpu.md has the tables that the script prints: settings, formulas and page cannot drift apart."""

from __future__ import annotations

import pytest

from benchmarks import gpu_sizing
from tests.conftest import ROOT


def test_the_page_has_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    gpu_sizing.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    page = (ROOT / "docs/gpu.md").read_text(encoding="utf-8").splitlines()
    assert len(printed) > 30
    assert [line for line in printed if line not in page] == []
