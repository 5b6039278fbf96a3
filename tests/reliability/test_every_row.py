"""Every row of docs/reliability.md names a test that is there."""

import re

import pytest

from tests.conftest import ROOT

ROWS = [
    line for line in (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| what ", "|---"))
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_row_names_tests_that_are_there(row):
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", row.rstrip(" |").rpartition(" | ")[2])
    assert named
    for file, test in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source


def test_there_is_a_row_for_each_kind_of_trouble():
    assert len(ROWS) > 35
