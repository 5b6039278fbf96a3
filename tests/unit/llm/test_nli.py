"""The inference backend on a tiny random model of DeBERTa-v3's architecture."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.composition.params import Params
from stages.labelling.teacher import Teacher
from stages.llm.backend import Sampling, open_backend
from stages.llm.cache import CachedModel
from stages.running.errors import BackendError, ModelError
from stages.running.io import write_json
from tests.tiny_models import nli, sample_texts

ANSWERS = ["это обувь", "это посуда", "это одежда"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nli")
    nli(folder, sample_texts()[:200])
    write_json(folder / "provenance.json", {"sha256": {"model.safetensors": "0"}})
    return folder


def test_the_choice_is_a_softmax_over_entailment(folder, params: Params) -> None:
    backend = open_backend("nli", folder, params.vllm)
    [(_, choice), (_, other)] = backend.choose(["сапоги промокли", "кружка треснула"], ANSWERS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    pairs = tokenizer(["сапоги промокли"] * 3, ANSWERS, padding=True, return_tensors="pt")
    logits = model(**pairs).logits.detach().double().numpy()
    entailment = logits[:, 0]
    assert choice.logprobs == pytest.approx(list(entailment - np.log(np.exp(entailment).sum())), abs=1e-5)
    assert choice.mass == pytest.approx((np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[:, 0].max())
    assert sum(map(math.exp, other.logprobs)) == pytest.approx(1)


def test_a_teacher_labels_with_it(folder, params: Params, labels: list[str]) -> None:
    prompt = dataclasses.replace(params.prompt, template="conf/prompt/nli.jinja", reasoning_prefix="", chat=False)
    label = dataclasses.replace(params.label, backend="nli", explanations="none")
    teacher = Teacher(CachedModel(open_backend("nli", folder, params.vllm)), labels, prompt, label, pd.DataFrame())
    labelled, _ = teacher.label_reviews(pd.DataFrame({"text": ["сапоги промокли [SEP] посуда"]}))
    assert labelled["label"][0] in labels
    assert labelled["probabilities"][0].sum() == pytest.approx(1)


def test_what_it_cannot_do_is_said(folder, params: Params) -> None:
    backend = open_backend("nli", folder, params.vllm)
    with pytest.raises(BackendError, match=r"set label\.explanations=none"):
        backend.complete(["x"], [Sampling(5)])
    with pytest.raises(BackendError, match="choose a prompt without reasoning_prefix"):
        list(backend.choose(["x"], ANSWERS, Sampling(5)))


def test_another_classifier_is_refused(folder, params: Params, tmp_path) -> None:
    config = (folder / "config.json").read_text().replace("entailment", "spam")
    (tmp_path / "config.json").write_text(config)
    write_json(tmp_path / "provenance.json", {"sha256": {}})
    with pytest.raises(ModelError, match="none is entailment"):
        open_backend("nli", tmp_path, params.vllm)
