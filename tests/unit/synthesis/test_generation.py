"""Generation with scripted models: the plan, the budget, the trace of every row, and what an interruption costs."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.common.templates import load_template
from stages.composition.params import Params
from stages.labelling.teacher import Teacher
from stages.llm.backend import Completion, Refusal
from stages.llm.cache import CachedModel
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import DataError
from stages.synthesis.filters import Known
from stages.synthesis.generation import SMALLEST_ROUND, Writer, candidates_frame
from stages.synthesis.plan import shortfall
from stages.synthesis.requests import Request, base_requests, choose_exemplars, retelling_requests
from stages.synthesis.steps import SETS, Material, Written, step_requests
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary
from tests.conftest import ROOT

NOTED = json.dumps({"product": "чашка", "notes": "треснула; жаль"}, ensure_ascii=False)
VOCABULARY = Vocabulary(pd.DataFrame(), {}, {"remark": ["пришло быстро"]})
WORDS = ["мягкая", "ручка", "скользит", "утром", "кофе", "крепко", "держит", "тепло", "долго", "кот", "хвалит", "яркий"]


class Writing(ScriptedBackend):
    """Writes of the category its prompt ends with; every third text is assistant talk."""

    identity = "writing"

    def complete(self, prompts, samplings) -> Iterator[tuple[int, Completion]]:
        for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
            random = np.random.default_rng([sampling.seed, len(prompt)])
            text = " ".join(random.permutation(WORDS)[:9])
            start = "Конечно, вот отзыв:" if sampling.seed % 3 == 0 else prompt.split()[-1]
            yield index, Completion(f" {start} {text}", mean_logprob=-0.1)


def embed(texts: list[str]) -> np.ndarray:
    """Unit rows that differ wherever the texts do."""
    rows = [np.random.default_rng(abs(hash(text)) % 2**32).normal(size=64) for text in texts]
    vectors = np.array(rows, dtype=np.float32).reshape(len(texts), 64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def files(params: Params, attributes: Path | None = None) -> VocabularyFiles:
    """The shipped vocabulary, or its seeds beside other `attributes`."""
    shipped = params.vocabulary
    return VocabularyFiles(seeds=str(ROOT / shipped.seeds), attributes=str(attributes or ROOT / shipped.attributes))


def requests(label: str) -> Iterator[Request]:
    for number in itertools.count():
        yield Request(label, number, f"Товар: {label.split()[0]}", ["seed-1"], {"product": label})


@pytest.fixture
def writer(params, labels, monkeypatch) -> Writer:
    monkeypatch.chdir(ROOT)
    teacher = Teacher(
        CachedModel(ScriptedBackend(Path(), params.vllm)), labels, params.prompt, params.label, pd.DataFrame()
    )
    prior = np.full(len(labels), 1 / len(labels))
    generator = CachedModel(Writing(Path(), params.vllm))
    return Writer(labels, generator, teacher, prior, None, 0.1, embed, params.generate, seed=1)


KNOWN = Known(originals=[], synthetic=[], embeddings=embed([]))


def test_the_plan_is_filled_and_every_row_can_be_traced(writer, params):
    wanted = {"обувь": 4, "посуда": 2}
    generation = writer.write("base", params.generate.base, wanted, {label: requests(label) for label in wanted}, KNOWN)
    accepted = generation.accepted()
    assert shortfall(generation.candidates, wanted) == {}
    assert accepted["text"].is_unique
    assert (accepted["label"] == accepted["read_as"]).all()
    for row in accepted.itertuples():
        assert row.prompt == f"Товар: {row.label}"
        assert row.seed_ids == ["seed-1"]
        assert row.attributes == f'{{"product": "{row.label}"}}'
    assert (generation.candidates["reason"] == "assistant_talk").any()
    assert generation.written().rows.index.to_list() == list(range(len(generation.written().embeddings)))
    assert len(generation.embeddings) == len(generation.candidates)


def test_no_round_is_smaller_than_what_an_engine_writes_at_once(writer, params, monkeypatch):
    rounds = []
    complete = writer.generator.backend.complete
    monkeypatch.setattr(
        writer.generator.backend, "complete", lambda asked, *rest: rounds.append(len(asked)) or complete(asked, *rest)
    )
    step = replace(params.generate.base, candidates=100.0)
    writer.write("base", step, {"обувь": 3}, {"обувь": requests("обувь")}, KNOWN)
    assert min(rounds) >= SMALLEST_ROUND - 1  # 3 texts are missing, so 5 times as many are asked for
    writer.write("base", replace(step, candidates=2.0), {"посуда": 3}, {"посуда": requests("посуда")}, KNOWN)
    assert rounds[-1] == 6


def test_rounds_grow_where_the_filters_take_much(writer, params, monkeypatch):
    rounds = []
    complete = writer.generator.backend.complete
    monkeypatch.setattr(
        writer.generator.backend, "complete", lambda asked, *rest: rounds.append(len(asked)) or complete(asked, *rest)
    )
    never = (Request("украшения и аксессуары", number, "x", [], {}) for number in itertools.count())
    step = replace(params.generate.base, candidates=50.0)
    writer.write("base", step, {"украшения и аксессуары": 8}, {"украшения и аксессуары": never}, KNOWN)
    assert rounds == [SMALLEST_ROUND, 8 * SMALLEST_ROUND, 400 - 9 * SMALLEST_ROUND]


def test_a_row_is_told_again_once(writer, params):
    def retellings() -> Iterator[Request]:
        for number in itertools.count():
            source = f"row-{number % 2}"
            yield Request("обувь", number, "Товар: обувь", [source], {"product": "обувь"}, source=source)

    generation = writer.write("style", params.generate.base, {"обувь": 5}, {"обувь": retellings()}, KNOWN)
    assert sorted(generation.accepted()["source"]) == ["row-0", "row-1"]
    assert "told_before" in set(generation.candidates["reason"])
    # Nobody is asked for more once all are told.
    assert len(generation.candidates) < 5 * params.generate.base.candidates


def test_the_budget_ends_it_and_the_shortfall_is_named(writer, params):
    # The teacher reads an electronic thing in none of these texts, so all of them are dropped.
    wanted = {"украшения и аксессуары": 3}
    never = {"украшения и аксессуары": (Request("украшения и аксессуары", n, "x", [], {}) for n in range(10**6))}
    step = replace(params.generate.base, candidates=2.0)
    generation = writer.write("base", step, wanted, never, KNOWN)
    assert len(generation.candidates) == 6
    assert shortfall(generation.candidates, wanted) == wanted


def test_a_second_opinion_is_heard_on_the_category(writer, params, labels):
    class Certain:
        """Sees dishes in everything."""

        def distributions(self, embeddings):
            return np.tile(np.eye(len(labels))[labels.index("посуда")], (len(embeddings), 1))

    both = replace(writer, opinion=Certain())
    wanted = {"обувь": 2, "посуда": 2}
    written = both.write("base", params.generate.base, wanted, {name: requests(name) for name in wanted}, KNOWN)
    assert set(written.accepted()["label"]) == {"посуда"}
    read = written.candidates[written.candidates["reason"] == "another_category"]
    assert set(read["intended"]) == {"обувь"}
    assert set(read["read_as"]) == {"посуда"}


def test_an_interrupted_step_asks_nothing_twice(writer, params):
    wanted = {"обувь": 4}
    first = writer.write("base", params.generate.base, wanted, {"обувь": requests("обувь")}, KNOWN)
    again = replace(writer, generator=CachedModel(Writing(Path(), params.vllm)))
    second = again.write("base", params.generate.base, wanted, {"обувь": requests("обувь")}, KNOWN)
    assert again.generator.asked == 0
    assert second.candidates["text"].equals(first.candidates["text"])


class Choosy(Writing):
    """Refuses every other request."""

    def complete(self, prompts, samplings) -> Iterator[tuple[int, Completion | Refusal]]:
        for index, written in super().complete(prompts, samplings):
            yield index, written if index % 2 else Refusal("too long")


def test_a_request_that_the_generator_refuses_is_skipped_and_counted(writer, params, caplog):
    choosy = replace(writer, generator=CachedModel(Choosy(Path(), params.vllm)))
    wanted = {"обувь": 4}
    written = choosy.write("base", params.generate.base, wanted, {"обувь": requests("обувь")}, KNOWN)
    assert "base: 8 of 16 requests got no text: too long" in caplog.text
    assert 0 < len(written.candidates) == len(written.embeddings) <= params.generate.base.candidates * 4 / 2
    assert len(written.accepted()) > 0


def test_a_generator_that_refuses_everything_ends_with_the_budget(writer, params):
    class Mute(Writing):
        def complete(self, prompts, samplings):
            yield from ((index, Refusal("too long")) for index in range(len(prompts)))

    mute = replace(writer, generator=CachedModel(Mute(Path(), params.vllm)))
    step = replace(params.generate.base, candidates=3.0)
    written = mute.write("base", step, {"обувь": 4}, {"обувь": requests("обувь")}, KNOWN)
    assert len(written.candidates) == 0
    assert shortfall(written.candidates, {"обувь": 4}) == {"обувь": 4}


@pytest.mark.parametrize("opinion", [False, True])
def test_a_text_that_the_teacher_refuses_to_read_is_the_second_opinions_or_nobodys(opinion, writer, params, labels):
    class Blind(ScriptedBackend):
        def choose(self, prompts, answers, reasoning=None):
            for index, choice in super().choose(prompts, answers, reasoning):
                yield index, choice if "кофе" in prompts[index].splitlines()[-1] else Refusal("too long")

    class Certain:
        def distributions(self, embeddings):
            return np.tile(np.eye(len(labels))[labels.index("обувь")], (len(embeddings), 1))

    blind = replace(
        writer,
        teacher=replace(writer.teacher, model=CachedModel(Blind(Path(), None))),
        opinion=Certain() if opinion else None,
    )
    written = blind.write("base", params.generate.base, {"обувь": 4}, {"обувь": requests("обувь")}, KNOWN)
    accepted = written.accepted()
    read = accepted["text"].str.contains("кофе")
    assert read.any()
    assert read.all() != opinion
    assert np.isfinite(np.stack(written.candidates["probabilities"])).all()
    unread = written.candidates[written.candidates["read_as"] == ""]
    assert set(unread["reason"]) == (set() if opinion else {"another_category"})


def test_base_requests_go_through_all_products_with_other_seeds(params, labels):
    vocabulary = read_vocabulary(files(params), labels)
    template = load_template(str(ROOT / params.generate.base.template), str)
    real = pd.DataFrame({"id": ["r1"], "text": ["туфли жмут"], "label": ["обувь"]})
    endless = base_requests(template, vocabulary, real, "обувь", 4, np.random.default_rng(0))
    products = vocabulary.products["обувь"]
    asked = list(islice(endless, len(products)))
    assert sorted(request.attributes["product"] for request in asked) == sorted(products)
    for request in asked:
        assert len(request.seed_ids) == 4
        assert "r1" in request.seed_ids
        notes = request.attributes["notes"]
        assert set(notes.split("; ")) <= set(products[request.attributes["product"]])
        assert request.prompt.endswith(f"Товар: {request.attributes['product']}\nЗаметки: {notes}\nОтзыв:")
        # The default prompt names no manner, so none is drawn.
        assert set(request.attributes) == {"product", "notes"}


def test_a_prompt_gets_the_manner_that_it_names(params, labels, tmp_path):
    vocabulary = read_vocabulary(files(params), labels)
    (tmp_path / "toned.jinja").write_text("{{ product }}: {{ notes }} ({{ tone }})")
    template = load_template(str(tmp_path / "toned.jinja"), str)
    real = pd.DataFrame({"id": [], "text": [], "label": []})
    request = next(base_requests(template, vocabulary, real, "посуда", 2, np.random.default_rng(0)))
    assert set(request.attributes) == {"product", "notes", "tone"}
    assert request.attributes["tone"] in vocabulary.manner["tone"]
    assert request.prompt == "{product}: {notes} ({tone})".format(**request.attributes)


@pytest.mark.parametrize(
    ("products", "fault"),
    [
        ("{}", "has no products for 'обувь'"),
        ("{обувь: [кеды]}", "'обувь' must be a mapping"),
        ("{обувь: {кеды: []}}", r"notes on 'кеды' of 'обувь' must be a list: \[one, another\]; found \[\]"),
        ("{обувь: {кеды: жмут}}", r"notes on 'кеды' of 'обувь' must be a list: \[one, another\]; found 'жмут'"),
        ("{обувь: {кеды: [жмут, 42]}}", "notes on 'кеды' of 'обувь': 42 is no text; put it in quotes"),
        ("{обувь: {кеды: [yes]}}", "True is no text; put it in quotes"),
        ("{обуви: {кеды: [жмут]}}", "label 'обуви' is not one of обувь; is 'обувь' meant?"),
        ("{обувь: {42: [жмут]}}", "products of 'обувь' must be a mapping of texts"),
        ("{обувь: {кеды: [жмут]}}\nmanner: {tone: весело}", "manner 'tone' must be a list"),
        ("{обувь: {кеды: [жмут", "is not valid YAML"),
    ],
)
def test_a_vocabulary_that_lacks_something_is_refused(params, tmp_path, products, fault):
    (tmp_path / "attributes.yaml").write_text(f"products: {products}\n")
    with pytest.raises(DataError, match=fault):
        read_vocabulary(files(params, tmp_path / "attributes.yaml"), ["обувь"])


def test_retelling_shows_source_and_exemplars(params):
    template = load_template(str(ROOT / params.generate.style.template), str)
    sources = pd.DataFrame({"id": ["a"], "text": ["чашка треснула"], "label": ["посуда"], "attributes": [NOTED]})
    shown = pd.DataFrame({"id": ["r9"], "text": ["ну такое"]})
    request = next(retelling_requests(template, VOCABULARY, sources, "посуда", [shown], np.random.default_rng(0)))
    assert request.seed_ids == ["a", "r9"]
    assert "- ну такое" in request.prompt
    assert "Гладко: чашка треснула" in request.prompt
    assert request.attributes == {**json.loads(NOTED), "remark": "пришло быстро"}
    assert "О покупке: пришло быстро" in request.prompt
    assert list(retelling_requests(template, VOCABULARY, sources, "обувь", [shown], np.random.default_rng(0))) == []


def test_retellings_of_all_categories_share_their_beginning(params):
    step = params.generate.style
    texts = ["чашка треснула", "чашка как чашка", "сапоги жмут"]
    rows = pd.DataFrame({"id": texts, "text": texts, "label": ["посуда", "посуда", "обувь"], "attributes": NOTED})
    train = pd.DataFrame({"id": ["r1", "r2"], "text": ["ну такое", "класс!!!"]})
    vectors = np.eye(3, dtype=np.float32)
    material = Material(VOCABULARY, train, vectors[:2], Written(rows, vectors))
    asked = step_requests(
        "style",
        step,
        load_template(str(ROOT / step.template), str),
        material,
        ["обувь", "посуда"],
        ["обувь", "посуда"],
        seed=0,
    )
    beginnings = [
        [request.prompt.split("Товар: чашка")[0] for request in islice(endless, SETS)] for endless in asked.values()
    ]
    assert beginnings[0] == beginnings[1]
    # Each set has one of the two real rows.
    assert [("- ну такое" in begun) + 2 * ("- класс!!!" in begun) for begun in sorted(beginnings[0])] in (
        [1, 2],
        [2, 1],
    )


def test_nothing_written_is_nothing_to_tell_again(params):
    step = params.generate.style
    train = pd.DataFrame({"id": ["r1"], "text": ["ну такое"]})
    none = Written(pd.DataFrame(columns=["id", "text", "label", "attributes"]), np.empty((0, 3), dtype=np.float32))
    material = Material(VOCABULARY, train, np.eye(3, dtype=np.float32)[:1], none)
    template = load_template(str(ROOT / step.template), str)
    asked = step_requests("style", step, template, material, ["обувь"], ["обувь", "посуда"], seed=0)
    assert list(asked["обувь"]) == []


def test_exemplars_are_close_and_unlike_each_other():
    real = np.array([[1, 0], [0.999, 0.045], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    source = np.array([[0.8, 0.6]], dtype=np.float32)
    assert choose_exemplars(source, real, 2) == [2, 0]
    assert choose_exemplars(source, real, 2, diversity=0.0) == [2, 1]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Кружка красивая. Ручка неудоб", "Кружка красивая."),
        ("Кружка красивая, ручка неудоб", "Кружка красивая, ручка неудоб"),
        ("кружка огонь!!! спасибо)))", "кружка огонь!!! спасибо)))"),
        (" «Кружка\x00 целая.»\x1b ", "Кружка целая."),
    ],
)
def test_a_sentence_cut_off_by_the_token_limit_and_control_characters_go(written: str, kept: str) -> None:
    request = Request("посуда", 0, "prompt", [], {})
    assert candidates_frame([request], [Completion(written, -1.0)], "base")["text"].to_list() == [kept]
