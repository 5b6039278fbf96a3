"""The teacher's flow with a scripted backend: distributions, explanations, retries, quarantine, cache."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.teacher_prompts import distributions
from stages.common.templates import load_template
from stages.labelling.teacher import Teacher
from stages.llm.backend import Choice, Completion, Refusal
from stages.llm.cache import CachedModel
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import BackendError, ConfigError
from tests.conftest import ROOT

SEEDS = pd.DataFrame(
    {
        "text": ["сапоги натёрли ногу", "обувь жмёт", "посуда треснула", "платье село"],
        "label": ["обувь", "обувь", "посуда", "одежда"],
    }
)
FRAME = pd.DataFrame({"text": ["обувь натёрла", "посуда разбилась", "ждал месяц, нет посылки"]})


class Moody(ScriptedBackend):
    """Gives an explanation without letters unless it is asked with seed 1."""

    def complete(self, prompts, samplings) -> Iterator[tuple[int, Completion]]:
        for index, sampling in enumerate(samplings):
            yield index, Completion(" понятно из слов" if sampling.seed == 1 else " ...", -1.0)


@pytest.fixture
def teacher(params, labels, monkeypatch):
    monkeypatch.chdir(ROOT)
    backend = ScriptedBackend(Path(), params.vllm)
    prompt = replace(params.prompt, reasoning_prefix="")
    return Teacher(CachedModel(backend), labels, prompt, replace(params.label, explanations="none"), SEEDS)


def test_labels_with_a_full_distribution(teacher):
    labelled, _ = teacher.label_reviews(FRAME)
    assert labelled["label"].to_list() == ["обувь", "посуда", "нет товара"]
    assert np.stack(labelled["probabilities"]).sum(axis=1) == pytest.approx(1)
    assert labelled["confidence"].to_list() == pytest.approx([0.9] * 3)
    assert (labelled["failure"] == "").all()


def test_the_category_follows_a_line_of_reasoning(teacher):
    class Spy(ScriptedBackend):
        prompts: list[str] = []  # noqa: RUF012

        def choose(self, prompts, answers, reasoning=None):
            assert (reasoning.max_tokens, reasoning.stop) == (7, ("\n",))
            self.prompts.extend(prompts)
            yield from super().choose(prompts, answers, reasoning)

    prompt = replace(teacher.prompt, reasoning_prefix="Товар:", reasoning_tokens=7)
    spy = Spy(Path(), None)
    labelled, _ = replace(teacher, model=CachedModel(spy), prompt=prompt).label_reviews(FRAME)
    assert all(text.endswith("\nТовар:") for text in spy.prompts)
    assert labelled["label"].to_list() == ["обувь", "посуда", "нет товара"]
    assert labelled["reasoning"].to_list() == ["обув", "посу", "нет "]
    assert labelled["raw"][0] == "Товар: обув\nКатегория: обувь"


class Wavering(ScriptedBackend):
    """Prefers the category that the prompt lists first; thinks of shoes only when it thinks warmly."""

    def choose(self, prompts, answers, reasoning=None):
        for index, prompt in enumerate(prompts):
            first = prompt.splitlines()[0]
            if reasoning and reasoning.temperature:
                first = "обувь" if reasoning.seed else first
            shares = [0.6 if answer.endswith(first) else 0.4 / (len(answers) - 1) for answer in answers]
            yield index, Choice("вещь", np.log(shares).tolist(), 0.5)


@pytest.fixture
def wavering(teacher, tmp_path):
    (tmp_path / "listed.jinja").write_text("{{ labels[0] }}\n{{ review }}")
    prompt = replace(teacher.prompt, template=str(tmp_path / "listed.jinja"))
    return replace(
        teacher, labels=["одежда", "обувь", "посуда"], prompt=prompt, model=CachedModel(Wavering(Path(), None))
    )


def test_a_taste_for_the_first_category_goes_with_the_order(wavering):
    assert wavering.distributions(wavering.choices(["да"]))[0] == pytest.approx([0.6, 0.2, 0.2])
    turned = replace(wavering, label=replace(wavering.label, orders=3))
    choices = turned.choices(["да", "нет"])
    assert turned.distributions(choices) == pytest.approx(np.full((2, 3), 1 / 3))
    assert choices[0].mass == 0.5


def test_orders_need_a_prompt_that_lists_the_categories(teacher):
    # The default prompt describes them in an order of its own.
    with pytest.raises(ConfigError, match=r"label\.orders turns the list .*product\.jinja does not use"):
        replace(teacher, label=replace(teacher.label, orders=2)).choices(["да"])


def test_close_choices_are_thought_over_again(wavering):
    label = replace(wavering.label, samples=2, sample_margin=0.3, sample_temperature=0.7)
    with pytest.raises(ConfigError, match=r"label\.samples needs a prompt with a reasoning_prefix"):
        replace(wavering, label=label).choices(["да"])
    thinking = replace(wavering.prompt, reasoning_prefix="Товар:", reasoning_tokens=4)
    sure = replace(wavering, label=label, prompt=thinking)
    assert sure.distributions(sure.choices(["да"]))[0] == pytest.approx([0.6, 0.2, 0.2])
    unsure = replace(sure, label=replace(label, sample_margin=0.5))
    # Clothes twice (greedy, seed 0), shoes once (seed 1): (0.6 + 0.6 + 0.2) / 3 for clothes.
    assert unsure.distributions(unsure.choices(["да"]))[0] == pytest.approx([1.4 / 3, 1 / 3, 0.2])


def test_nothing_is_asked_twice(teacher):
    teacher.label_reviews(FRAME)
    first = teacher.model.asked
    again, _ = teacher.label_reviews(pd.concat([FRAME, FRAME.head(1)], ignore_index=True))
    assert first == 3
    assert teacher.model.asked == first
    assert len(again) == 4


@pytest.mark.parametrize(("policy", "explained"), [("all", 3), ("low_confidence", 3), ("none", 0)])
def test_explanation_policies(teacher, policy, explained):
    label = replace(teacher.label, explanations=policy, low_confidence=0.95)
    labelled, _ = replace(teacher, label=label, model=CachedModel(Moody(Path(), None))).label_reviews(FRAME)
    assert (labelled["explanation"] != "").sum() == explained
    if explained:
        assert labelled["raw"][0] == "Категория: обувь\nПояснение: понятно из слов"


def test_what_cannot_be_parsed_is_quarantined_after_the_retries(teacher):
    label = replace(teacher.label, explanations="all", retries=0)
    labelled, _ = replace(teacher, label=label, model=CachedModel(Moody(Path(), None))).label_reviews(FRAME)
    assert labelled["failure"].to_list() == ["empty explanation"] * 3
    assert labelled["label"].to_list() == [""] * 3


class Picky(ScriptedBackend):
    """Refuses what speaks of dishes, in every kind of question."""

    def choose(self, prompts, answers, reasoning=None):
        for index, choice in super().choose(prompts, answers, reasoning):
            yield index, Refusal("too long") if "посуда разбилась" in prompts[index] else choice

    def complete(self, prompts, samplings):
        for index, prompt in enumerate(prompts):
            yield index, Refusal("too long") if "обувь натёрла" in prompt else Completion(" названо словом", -1.0)


def test_a_review_that_the_model_refuses_is_one_row_without_a_label(teacher):
    picky = replace(teacher, model=CachedModel(Picky(Path(), None)))
    frame = FRAME.assign(id=["a", "b", "c"]).set_axis([7, 3, 5])
    labelled, _ = picky.label_reviews(frame)
    assert labelled["id"].to_list() == ["a", "b", "c"]
    assert labelled["label"].to_list() == ["обувь", "", "нет товара"]
    assert labelled["failure"].to_list() == ["", "too long", ""]
    assert np.isnan(labelled["confidence"]).to_list() == [False, True, False]
    # A measurement would not be of the rows that it names.
    with pytest.raises(BackendError, match="'посуда разбилась' got no answer: too long"):
        distributions(picky, frame["text"].to_list(), "measured")
    plain, _ = teacher.label_reviews(frame)
    assert np.array_equal(labelled["probabilities"][5], plain["probabilities"][5])
    assert distributions(teacher, frame["text"].to_list(), "measured").sum(axis=1) == pytest.approx(1)


def test_an_explanation_that_the_model_refuses_is_its_rows_failure_and_not_asked_again(teacher):
    explaining = replace(teacher, label=replace(teacher.label, explanations="all", retries=2))
    model = CachedModel(Picky(Path(), None))
    labelled, _ = replace(explaining, model=model).label_reviews(FRAME)
    assert labelled["failure"].to_list() == ["no explanation: too long", "too long", ""]
    assert labelled["explanation"].to_list() == ["", "", "названо словом"]
    # Three choices, two explanations.
    assert model.asked == 5


@pytest.mark.parametrize("calibration", ["none", "batch"])
def test_reviews_that_are_all_refused_make_a_table_without_labels(teacher, calibration):
    frame = FRAME[1:2]
    picky = replace(teacher, label=replace(teacher.label, calibration=calibration))
    labelled, prior = replace(picky, model=CachedModel(Picky(Path(), None))).label_reviews(frame)
    assert labelled["failure"].to_list() == ["too long"]
    assert np.isfinite(prior).all()


def test_a_prior_needs_an_answer_to_some_text_without_content(teacher):
    label = replace(teacher.label, calibration="contextual", content_free=["", "посуда разбилась"])
    picky = replace(teacher, model=CachedModel(Picky(Path(), None)), label=label)
    assert len(picky.prior(np.empty((0, 9)))) == 9
    with pytest.raises(BackendError, match=r"no text of label\.content_free got an answer: too long"):
        replace(picky, label=replace(label, content_free=["посуда разбилась"])).prior(np.empty((0, 9)))


def test_a_prompt_without_the_review_is_refused(teacher, tmp_path):
    (tmp_path / "a.jinja").write_text("{{ labels }}")
    # Said before anything is asked.
    with pytest.raises(ConfigError, match="never uses"):
        replace(teacher, prompt=replace(teacher.prompt, template=str(tmp_path / "a.jinja")))


def test_strict_is_the_original_prompt_to_the_letter(labels):
    rendered = load_template(str(ROOT / "conf/prompt/strict.jinja"), str).render(labels=labels, review="ОТЗЫВ")
    assert sha256(rendered.encode()).hexdigest() == "17f35931d21f6ab55b18f4db8dc3b26d46566c28673e8cc430e594a1008b52f5"


def test_a_review_is_data_not_template(params, labels):
    template = load_template(str(ROOT / params.prompt.template), str)
    assert "{{ labels }} {% if %}" in template.render(labels=labels, review="{{ labels }} {% if %}")


def test_each_review_is_shown_the_seeds_most_like_it(teacher, tmp_path):
    class Spy(ScriptedBackend):
        prompts: list[str] = []  # noqa: RUF012

        def choose(self, prompts, answers, reasoning=None):
            self.prompts.extend(prompts)
            yield from super().choose(prompts, answers, reasoning)

    template = tmp_path / "knn.jinja"
    template.write_text(
        "{% for example in examples %}{{ example.text }}: {{ example.label }}\n{% endfor %}{{ review }}"
    )
    prompt = replace(teacher.prompt, template=str(template), demonstrations=2, chat=False)
    spy = Spy(Path(), None)
    replace(teacher, model=CachedModel(spy), prompt=prompt).label_reviews(FRAME)
    first, second, _ = (text.splitlines() for text in spy.prompts)
    assert set(first[:2]) == {"сапоги натёрли ногу: обувь", "обувь жмёт: обувь"}
    # The likest stands last, right before the review.
    assert second[1:] == ["посуда треснула: посуда", "посуда разбилась"]


def test_the_prompt_with_nearest_seeds_asks_like_the_others(teacher):
    template = load_template("conf/prompt/fewshot_knn.jinja", str)
    examples = [{"text": "платье село", "label": "одежда"}]
    asked = template.render(labels=teacher.labels, review="обувь жмёт", examples=examples)
    assert asked.endswith("Отзыв: платье село\nКАТЕГОРИЯ: одежда\n\nОтзыв: обувь жмёт")
