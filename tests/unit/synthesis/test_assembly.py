"""The training set: rows of every provenance, and what must not get in."""

import json

import pandas as pd
import pytest

from stages.common.config import Model
from stages.common.errors import DataError
from stages.common.schema import SPLITS, text_id
from stages.synthesis.assembly import build, card, check_leaks, counts, real_rows, synthetic_rows, written_rows

NAMES = ["обувь", "одежда", "посуда"]
SEEDS = pd.DataFrame(
    [
        ("Кеды жмут", "обувь", "кеды", "жмут"),
        ("Платье село", "одежда", "платье", "село"),
        ("Чашка треснула", "посуда", "чашка", "треснула"),
    ],
    columns=["text", "label", "product", "notes"],
)


def labelled(texts: list[str], split: str = "train") -> pd.DataFrame:
    """Rows as `curate` leaves them."""
    ids = [text_id(text) for text in texts]
    return pd.DataFrame(
        {"id": ids, "text": texts, "label": "одежда", "probabilities": [[0.1, 0.7, 0.2]] * len(texts), "split": split}
    ).assign(weight=0.5)


@pytest.fixture
def accepted() -> pd.DataFrame:
    row = labelled(["Туфли на каблуке, ноге удобно"]).assign(label="обувь", provenance="style", attributes="{}")
    return row.assign(seed_ids=[["seed-1"]])


def test_written_rows_are_those_of_the_rare_labels() -> None:
    rows = written_rows(SEEDS, ["посуда", "обувь"], NAMES)
    assert rows["label"].to_list() == ["обувь", "посуда"]
    assert rows["soft_labels"].to_list() == [[1, 0, 0], [0, 0, 1]]
    assert rows["id"].to_list() == [text_id("Кеды жмут"), text_id("Чашка треснула")]
    assert set(rows["provenance"]) == {"written"}
    assert set(rows["split"]) == {"train"}
    assert json.loads(rows["attributes"].iloc[0]) == {"product": "кеды", "notes": "жмут"}
    assert rows["seed_ids"].to_list() == [[], []]
    assert written_rows(SEEDS, [], NAMES).empty


@pytest.mark.parametrize("rows_of_steps", [0, 1])
def test_all_provenances_make_one_dataset_with_a_card(accepted: pd.DataFrame, rows_of_steps: int) -> None:
    parts = [labelled([f"кофта {split}"], split) for split in SPLITS]
    real, written = real_rows(pd.concat(parts)), written_rows(SEEDS, ["обувь"], NAMES)
    rows = pd.concat([real, written, synthetic_rows(accepted.head(rows_of_steps))], ignore_index=True)
    check_leaks(rows, pd.DataFrame({"text": ["Пальто тёплое"]}))
    built = build(rows, NAMES)
    assert [len(built[split]) for split in SPLITS] == [2 + rows_of_steps, 1, 1]
    of_steps = {"style": {"обувь": 1}} if rows_of_steps else {}
    assert counts(rows) == {"real": {"одежда": 1}, "written": {"обувь": 1}} | of_steps
    text = card(rows, NAMES, {"teacher": Model(name="qwen", source="hub", repo="a/b", license="MIT")})
    assert text.startswith("---\n")
    assert ("| category | real | written | style |" in text) == bool(rows_of_steps)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_seed_among_held_out_reviews_is_a_leak(split: str) -> None:
    rows = pd.concat([real_rows(labelled(["кеды, ЖМУТ!"], split)), written_rows(SEEDS, ["обувь"], NAMES)])
    with pytest.raises(DataError, match="more than one split"):
        check_leaks(rows, pd.DataFrame({"text": []}))


def test_a_seed_in_a_gold_file_is_a_leak() -> None:
    with pytest.raises(DataError, match="checked file"):
        check_leaks(written_rows(SEEDS, ["обувь"], NAMES), pd.DataFrame({"text": ["кеды... жмут"]}))
