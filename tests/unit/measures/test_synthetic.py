import json
import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from stages.measures.synthetic import (
    FEWEST_ROWS,
    Pair,
    Sample,
    as_table,
    classifier_auc,
    distinct,
    frechet_distance,
    frechet_embedding_distance,
    measure_step,
    nearest_similarity,
    self_bleu,
    vendi_score,
)


def unit_rows(rows: int, seed: int, centre: float = 0.0, dimensions: int = 8) -> np.ndarray:
    """Random unit rows; `centre` pulls them towards the diagonal."""
    vectors = np.random.default_rng(seed).normal(centre, size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_distinct_n_by_hand() -> None:
    # Words: чайник греет хорошо | чайник греет. Five in all, three different; bigrams: two different.
    texts = ["Чайник греет хорошо!", "чайник греет"]
    assert distinct(texts, 1) == pytest.approx(3 / 5)
    assert distinct(texts, 2) == pytest.approx(2 / 5)
    assert distinct(["!!!"], 1) == 0


def test_self_bleu_edges() -> None:
    assert self_bleu(["чайник греет воду быстро"] * 3) == pytest.approx(1)
    assert self_bleu(["Класс!", "класс"]) == pytest.approx(1)
    assert self_bleu(["чайник греет воду", "туфли жмут ногу"]) == 0
    assert self_bleu(["чайник"]) == 0
    assert self_bleu(["!", "?", ""]) == 0


def test_self_bleu_by_hand() -> None:
    # Unigrams 3/4, bigrams 2/3, trigrams 1/2, 4-grams 0 -> 0.1/1, both ways alike; equal lengths, no penalty.
    expected = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert self_bleu(["а б в г", "а б в д"]) == pytest.approx(expected)
    # "а а" against "а б в": 1/2 clipped, bigram 0.1/1, penalty exp(1 - 3/2). Back: 1/3, 0.1/2, 0.1/1, no penalty.
    forth = (1 / 2 * 0.1) ** 0.5 * math.exp(1 - 3 / 2)
    back = (1 / 3 * 0.1 / 2 * 0.1) ** (1 / 3)
    assert self_bleu(["а а", "а б в"]) == pytest.approx((forth + back) / 2)


def test_self_bleu_clips_by_the_best_of_the_others() -> None:
    # Against "а" and "а а", the three а of the third text count twice; of the closest length, 2, it is longer.
    texts = ["а", "а а", "а а а"]
    third = (2 / 3 * 1 / 2 * 0.1) ** (1 / 3)
    second = 1.0
    first = math.exp(1 - 2 / 1)
    assert self_bleu(texts) == pytest.approx((first + second + third) / 3)


def test_vendi_score_counts_different_rows() -> None:
    assert vendi_score(np.tile(unit_rows(1, 0), (7, 1))) == pytest.approx(1, abs=1e-5)
    assert vendi_score(np.eye(5, dtype=np.float32)) == pytest.approx(5)
    # More rows than dimensions: three directions, each twice.
    assert vendi_score(np.tile(np.eye(3, dtype=np.float32), (2, 1))) == pytest.approx(3)


def test_frechet_distance_by_hand() -> None:
    # One dimension: (3 - 0)^2 + (2 - 1)^2 from means 0 and 3 and standard deviations 1 and 2.
    one = np.array([[-1.0], [1.0]]) / math.sqrt(2)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, 2 * one + 3) == pytest.approx(9 + 1)
    square = np.random.default_rng(0).normal(size=(50, 3))
    assert frechet_distance(square, square + np.array([3, 4, 0])) == pytest.approx(25)
    assert frechet_distance(square, square) == pytest.approx(0, abs=1e-6)


def test_frechet_embedding_distance_sees_a_shift_but_not_a_second_sample() -> None:
    reference, same, far = unit_rows(60, 0), unit_rows(40, 1), unit_rows(40, 2, centre=2)
    assert frechet_embedding_distance(reference, reference) == pytest.approx(0, abs=1e-6)
    assert frechet_embedding_distance(far, reference) > 5 * frechet_embedding_distance(same, reference)


def test_classifier_tells_apart_only_what_differs() -> None:
    reference = unit_rows(150, 0)
    assert classifier_auc(unit_rows(150, 1), reference) == pytest.approx(0.5, abs=0.1)
    assert classifier_auc(unit_rows(150, 2, centre=5), reference) == pytest.approx(1, abs=0.01)


def test_nearest_similarity_is_one_for_a_copy() -> None:
    rows = unit_rows(20, 0)
    assert nearest_similarity(rows[:5], rows) == pytest.approx(1, abs=1e-5)


def accepted(candidates: pd.DataFrame, vectors: np.ndarray) -> Sample:
    chosen = (candidates["reason"] == "").to_numpy(dtype=bool)
    return Sample(candidates.loc[chosen, "text"].to_list(), vectors[chosen])


NAMES = ["обувь", "одежда", "посуда", "нет товара"]


@pytest.fixture(scope="module")
def step() -> dict[str, dict[str, Pair]]:
    """обувь: synthetic only; одежда: real only; посуда: both; нет товара: too few of either."""
    words = np.random.default_rng(0).choice(["туфли", "чайник", "греет", "жмут", "мягко", "синий"], size=(200, 5))
    texts = [" ".join(row) for row in words]
    real_labels = ["одежда"] * 60 + ["посуда"] * 40 + ["нет товара"] * 3
    real = pd.DataFrame({"text": texts[: len(real_labels)], "label": real_labels})
    labels = ["обувь"] * 30 + ["посуда"] * 24 + ["нет товара"] * 2
    candidates = pd.DataFrame({"text": texts[-len(labels) :], "label": labels})
    candidates["intended"] = candidates["read_as"] = candidates["label"]
    candidates["reason"] = ""
    # Six of посуда are rejected, three of them by the teacher.
    candidates.loc[30:32, ["reason", "read_as"]] = ["another_category", "обувь"]
    candidates.loc[33:35, ["reason", "read_as"]] = ["length", ""]
    return measure_step(
        candidates, accepted(candidates, unit_rows(len(candidates), 1)), real, unit_rows(len(real), 2), NAMES, seed=0
    )


def test_every_class_has_every_measure_and_json_can_hold_it(step: dict) -> None:
    assert list(step) == ["all", *NAMES]
    assert len({tuple(figures) for figures in step.values()}) == 1
    assert "NaN" not in json.dumps(
        {name: {key: asdict(pair) for key, pair in figures.items()} for name, figures in step.items()}
    )


def test_both_sides_are_measured_where_there_are_rows(step: dict) -> None:
    assert step["посуда"]["rows"] == Pair(18, 40)
    assert step["all"]["rows"] == Pair(50, 103)
    for pair in (step["all"] | step["посуда"]).values():
        assert pair.synthetic is not None
    assert step["посуда"]["words_mean"] == Pair(5, 5)
    assert None not in asdict(step["посуда"]["classifier_auc"]).values()


def test_too_few_rows_give_null(step: dict) -> None:
    assert step["обувь"]["vendi_score"].synthetic > 1
    assert step["обувь"]["vendi_score"].real is None
    assert step["обувь"]["frechet_distance"] == Pair(None, None)
    assert step["одежда"]["self_bleu"].synthetic is None
    assert step["одежда"]["classifier_auc"].real == pytest.approx(0.5, abs=0.25)
    assert step["нет товара"]["distinct_1"] == Pair(None, None)
    assert step["нет товара"]["rows"] == Pair(2, 3)


def test_agreement_and_yield_go_by_the_class_asked_for(step: dict) -> None:
    assert step["посуда"]["yield"] == Pair(0.75, None)
    assert step["посуда"]["relabel_agreement"].synthetic == pytest.approx(18 / 21, abs=1e-4)
    assert step["обувь"]["yield"].synthetic == 1
    assert step["одежда"]["yield"].synthetic is None


def test_the_table_has_a_row_for_each_class_and_measure(step: dict) -> None:
    table = as_table(step).set_index(["class", "measure"])
    assert len(table) == sum(map(len, step.values()))
    assert table.loc[("посуда", "rows")].to_dict() == {"synthetic": 18, "real": 40}
    assert table.loc[("посуда", "yield")].isna().to_dict() == {"synthetic": False, "real": True}


def test_nothing_at_all_is_no_failure() -> None:
    empty = pd.DataFrame(columns=["text", "label", "intended", "read_as", "reason"])
    step = measure_step(empty, accepted(empty, unit_rows(0, 0)), empty, unit_rows(0, 0), NAMES, seed=0)
    assert step["all"]["vendi_score"] == Pair(None, None)
    assert set(as_table(step)["class"]) == {"all", *NAMES}


def test_copies_of_real_rows_look_less_diverse_and_nearer() -> None:
    real = unit_rows(2 * FEWEST_ROWS, 0)
    texts = [f"слово{index} и ещё слово" for index in range(len(real))]
    frame = pd.DataFrame({"text": texts, "label": "обувь"})
    copies = pd.DataFrame({"text": texts[:1] * 12, "label": "обувь", "intended": "обувь", "read_as": "обувь"})
    copies = copies.assign(reason="")
    step = measure_step(copies, accepted(copies, np.tile(real[:1], (12, 1))), frame, real, ["обувь"], seed=0)
    figures = step["обувь"]
    assert figures["self_bleu"].synthetic == 1 > figures["self_bleu"].real
    assert figures["vendi_score"].synthetic < figures["vendi_score"].real
    assert figures["distinct_1"].synthetic < figures["distinct_1"].real
