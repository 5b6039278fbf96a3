"""Other categories in another language, by configuration alone: the files are those that docs/ tells to write."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stages.ingest
import stages.label
from stages.assembly.folder import write_splits
from stages.assembly.rows import real_rows, written_rows
from stages.common.templates import load_template
from stages.composition.compose import compose
from stages.composition.params import Params, load_all
from stages.correcting.labels import corrected
from stages.synthesis.filters import assistant_talk
from stages.synthesis.patterns import read_patterns
from stages.synthesis.requests import base_requests
from stages.training.rows import load_rows
from stages.vocabulary.vocabulary import read_vocabulary
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
    return load_all()


def test_the_page_tells_all_files(composed: Params) -> None:
    assert len(FILES) == 11
    assert composed.labels.names == ["books", "games", "no product"]
    assert composed.labels.no_product == "no product"


def test_reviews_are_labelled_and_become_a_dataset(composed: Params) -> None:
    stages.ingest.main()
    stages.label.main()
    labelled = pd.read_parquet("data/label/labels.parquet")
    assert labelled["label"].value_counts().to_dict() == {"books": 30, "games": 30, "no product": 30}
    assert labelled["raw"].str.match(r"CATEGORY: (books|games|no product)\nEXPLANATION:").all()
    assert all(len(row) == 3 for row in labelled["probabilities"])
    written = written_rows(
        read_vocabulary(composed.vocabulary, composed.labels.names).examples(), composed.labels.names
    )
    said = labelled.assign(weight=1.0)
    answered = pd.DataFrame(columns=["id", "label"])
    real = real_rows(corrected(said, said, answered, composed.labels.names, 1.0))
    write_splits(pd.concat([real, written]), composed.labels.names, Path("set"))
    train = load_rows(Path("set"), "train", composed.labels.names)
    assert train["provenance"][:].count("written") == 9
    russian = re.compile("[а-яё]", re.IGNORECASE)
    assert not russian.search(str(dataclasses.asdict(composed) | {"data": None}))


def test_the_generator_is_asked_in_the_same_language(composed: Params) -> None:
    generate = composed.generate
    vocabulary = read_vocabulary(composed.vocabulary, composed.labels.names)
    real = pd.DataFrame({"id": ["1"], "text": ["Good dice"], "label": ["games"]})
    template = load_template(generate.base.template, str)
    request = next(base_requests(template, vocabulary, real, "games", 2, np.random.default_rng(0)))
    assert request.prompt.isascii()
    assert "Review: Good dice" in request.prompt
    assert generate.filters.script == "latin"
    assert not assistant_talk(["Good dice"], read_patterns(generate.filters.assistant_talk)).any()
    assert composed.label.content_free[-1] == "my order came"
    assert generate.filters.dictionary is None
    for step in (generate.paraphrase, generate.style):
        asked = load_template(step.template, str).render(label="games", source="Good dice", exemplars=["Nice"])
        assert asked.isascii()
        assert "Good dice" in asked
