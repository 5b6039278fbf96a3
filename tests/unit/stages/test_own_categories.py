"""Other categories in another language, by configuration alone: the files are those that docs/ tells to write."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stages.ingest
import stages.label
from stages.common.config import Params, load
from stages.common.templates import load_template
from stages.common.vocabulary import read_vocabulary
from stages.composition.compose import compose
from stages.synthesis.assembly import build, real_rows, written_rows
from stages.synthesis.requests import base_requests
from tests.conftest import ROOT

PAGE = (ROOT / "docs/your_own_categories.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([^`\s]+)`:\n\n```\w+\n(.*?\n)```", PAGE, re.DOTALL))
REVIEWS = [f"{stem} number {n} was fine" for n in range(30) for stem in ("These books", "Both games", "My parcel")]


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The page's files and settings, with a scripted teacher."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", "conf")
    for name, content in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")
    pd.DataFrame({"text": REVIEWS}).to_csv("mine.csv", index=False)
    overrides = re.search(r'make params SET="(labels=.*?)"', PAGE)[1].replace("my/reviews.csv", "mine.csv").split()
    compose(Path("params.yaml"), [*overrides, "label.backend=scripted", "label.explanations=all"])
    return load()


def test_the_page_tells_all_files(composed: Params) -> None:
    assert len(FILES) == 9
    assert composed.labels.names == ["books", "games", "no product"]


def test_reviews_are_labelled_and_become_a_dataset(composed: Params) -> None:
    stages.ingest.main()
    stages.label.main()
    labelled = pd.read_parquet("data/label/labels.parquet")
    assert labelled["label"].value_counts().to_dict() == {"books": 30, "games": 30, "no product": 30}
    assert labelled["raw"].str.match(r"CATEGORY: (books|games|no product)\nEXPLANATION:").all()
    assert all(len(row) == 3 for row in labelled["probabilities"])
    written = written_rows(pd.read_csv(composed.generate.seeds), ["games"], composed.labels.names)
    train = build(pd.concat([real_rows(labelled.assign(weight=1.0)), written]), composed.labels.names)["train"]
    assert train.features["label"].names == composed.labels.names
    assert train["provenance"][:].count("written") == 1


def test_the_generator_is_asked_in_the_same_language(composed: Params) -> None:
    generate = composed.generate
    vocabulary = read_vocabulary(generate.seeds, generate.attributes, composed.labels.names)
    real = pd.DataFrame({"id": ["1"], "text": ["Good dice"], "label": ["games"]})
    template = load_template(generate.base.template)
    request = next(base_requests(template, vocabulary, real, "games", 2, np.random.default_rng(0)))
    assert request.prompt.isascii()
    assert "Review: Good dice" in request.prompt
    assert generate.filters.min_cyrillic_share == 0
    assert generate.filters.dictionary is None
    for step in (generate.paraphrase, generate.style):
        asked = load_template(step.template).render(label="games", source="Good dice", exemplars=["Nice"])
        assert asked.isascii()
        assert "Good dice" in asked
