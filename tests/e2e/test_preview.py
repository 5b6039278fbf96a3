"""What `make preview` does, with random models: real vLLM, real DVC, real reviews."""

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.test_chain import copy_of_checkout, run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this checkout with random models."""
    target = copy_of_checkout(tmp_path_factory.mktemp("preview") / "checkout")
    run(target, "-m", "tests.tiny_models", "data/tiny")
    run(target, "-m", "stages.compose")
    return target


def preview(checkout: Path, number: int) -> str:
    """As the Makefile has it; what is printed."""
    told = run(checkout, "-m", "stages.preview", "--number", str(number), "--line", "experiment=tiny data.limit=400")
    run(checkout / ".preview", "-m", "dvc", "repro", "generate")
    return told + run(checkout / ".preview", "-m", "stages.preview", "--tell")


def test_it_says_what_becomes_of_a_few_and_what_all_would_cost(checkout):
    params = (checkout / "params.yaml").read_bytes()
    told = preview(checkout, 12)
    assert "12 of 400 usable reviews" in told
    labelled = pd.read_parquet(checkout / ".preview/data/curate/labels.parquet")
    unanswered = pd.read_csv(checkout / ".preview/data/label/quarantine.csv")
    assert len(labelled) + len(unanswered) == 12
    label = re.search(r"^ *label +([\d,]+) +([\d,]+) read, [\d,]+ written +about", told, re.MULTILINE)
    assert label, told
    # Every review and every checked one is asked for its category, and, in this configuration, for an explanation.
    assert int(label[1].replace(",", "")) > 400
    assert re.search(r"^ *both +[\d,]+ .* about .* none", told, re.MULTILINE)
    page = unescape((checkout / ".preview/preview.html").read_text())
    for text in labelled["text"]:
        assert text in page
    # Nothing of the user's has changed.
    assert (checkout / "params.yaml").read_bytes() == params
    assert not (checkout / "dvc.lock").exists()
    # Again, all is known, and what it would cost is known as well.
    again = preview(checkout, 12)
    assert label[0] in again
