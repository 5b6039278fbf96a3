"""The longest prompts that the shipped configurations can make leave room for their answers."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.common.provenances import SYNTHETIC_STEPS
from stages.common.templates import load_template
from stages.composition.compose import compose
from stages.composition.inputs import check_inputs
from stages.composition.params import Params
from stages.composition.room import AROUND, PROMPT, WORST_REVIEW, label_tokens, too_long
from stages.synthesis.requests import SHOWN, cut
from stages.synthesis.steps import Material, Written, step_requests
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary
from tests.conftest import ROOT

SHIPPED = [
    "experiment=large_teacher",
    *(f"profile={path.stem}" for path in sorted((ROOT / "conf/profile").glob("*.yaml"))),
]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Params:
    """A configuration as it comes along."""
    return compose(tmp_path_factory.mktemp("shipped") / "params.yaml", [request.param], ROOT / "conf")


@pytest.fixture
def vocabulary(params: Params) -> Vocabulary:
    return read_vocabulary(params.vocabulary, params.labels.names)


def test_a_review_as_long_as_may_be_is_labelled_and_explained(shipped: Params, vocabulary: Vocabulary) -> None:
    assert too_long(shipped, vocabulary) == ""


def test_the_count_is_near_what_qwen_counts(params: Params, vocabulary: Vocabulary) -> None:
    # Measured with the tokenizer of Qwen2.5: 534 tokens without the review.
    nothing = replace(params, data=replace(params.data, max_chars=0), label=replace(params.label, explanations="none"))
    assert 534 <= label_tokens(nothing, vocabulary) - AROUND < 1.1 * 534


@pytest.mark.parametrize("step", SYNTHETIC_STEPS)
def test_the_longest_reviews_leave_the_generator_room(step: str, shipped: Params, vocabulary: Vocabulary) -> None:
    settings = getattr(shipped.generate, step)
    template = load_template(settings.template, str)
    long = "слово " * (shipped.data.max_chars // 6)
    longest = "слово " * (shipped.generate.filters.max_chars // 6)
    rows = pd.DataFrame({"id": ["a", "b", "c", "d"], "text": long, "label": "обувь", "confidence": 1.0})
    vectors = np.eye(4, dtype=np.float32)
    earlier = None
    if step != SYNTHETIC_STEPS[0]:
        noted = '{"product": "кроссовки", "notes": "жмут в пальцах; подошва скользкая; быстро промокли"}'
        before = SYNTHETIC_STEPS[SYNTHETIC_STEPS.index(step) - 1]
        earlier = Written(rows.assign(text=longest, provenance=before, attributes=noted), vectors)
    material = Material(vocabulary, rows, vectors, earlier)
    requests = step_requests(step, settings, template, material, ["обувь"], shipped.labels.names, seed=1)
    fixed = len(Path(settings.template).read_text(encoding="utf-8"))
    for request in itertools.islice(requests["обувь"], 20):
        assert long not in request.prompt
        tokens = fixed / PROMPT + (len(request.prompt) - fixed) / WORST_REVIEW
        assert tokens + settings.max_tokens < shipped.vllm.max_model_len


def test_a_review_is_cut_between_words_and_only_beyond_the_limit() -> None:
    assert cut("село " * 100) == "село " * 100
    shown = cut("платье село " * 60)
    assert len(shown) <= SHOWN
    assert shown.removesuffix("…").split() == (["платье", "село"] * 60)[: len(shown.split())]
    assert cut("я" * 900) == "я" * SHOWN + "…"


def test_composing_warns_of_what_may_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_inputs(compose(tmp_path / "params.yaml", []))
    assert caplog.text == ""
    check_inputs(compose(tmp_path / "params.yaml", ["data.max_chars=3000"]))
    assert "a review of rare letters of data.max_chars=3000 will not fit: with prompt=strict it is about" in caplog.text
    check_inputs(compose(tmp_path / "params.yaml", ["data.max_chars=6000"]))
    assert "many a review of data.max_chars=6000 will not fit" in caplog.text
    caplog.clear()
    # Inference over entailment cuts what is too long.
    check_inputs(compose(tmp_path / "params.yaml", ["label=nli", "prompt=nli", "data.max_chars=6000"]))
    assert caplog.text == ""
