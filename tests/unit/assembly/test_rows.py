"""The training set: rows of every provenance, and what must not get in."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from datasets import load_dataset
from markdown_it import MarkdownIt

from stages.assembly.card import card
from stages.assembly.folder import write_splits
from stages.assembly.leaks import check_leaks, unlike
from stages.assembly.rows import real_rows, synthetic_rows, written_rows
from stages.common.labels import Labels
from stages.common.splits import SPLITS
from stages.common.texts import text_id
from stages.measures.rows import train_counts
from stages.running.errors import DataError
from stages.weights.config import Model

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
    """Rows as `correct` leaves them where nobody answered."""
    ids = [text_id(text) for text in texts]
    said = {"label": "одежда", "probabilities": [[0.1, 0.7, 0.2]] * len(texts), "weight": 0.5}
    alone = {f"machine_{name}": value for name, value in said.items()}
    return pd.DataFrame({"id": ids, "text": texts, **said, **alone, "provenance": "real", "split": split})


@pytest.fixture
def accepted() -> pd.DataFrame:
    row = labelled(["Туфли на каблуке, ноге удобно"]).assign(label="обувь", provenance="style", attributes="{}")
    return row.assign(seed_ids=[["seed-1"]])


def test_written_rows_are_of_every_label_rare_or_not() -> None:
    rows = written_rows(SEEDS, NAMES)
    assert rows["label"].to_list() == ["обувь", "одежда", "посуда"]
    assert rows["soft_labels"].to_list() == np.eye(3).tolist()
    assert rows["machine_soft_labels"].to_list() == np.eye(3).tolist()
    assert rows["id"].to_list() == SEEDS["text"].map(text_id).to_list()
    assert set(rows["provenance"]) == {"written"}
    assert set(rows["split"]) == {"train"}
    assert json.loads(rows["attributes"].iloc[0]) == {"product": "кеды", "notes": "жмут"}
    assert rows["seed_ids"].to_list() == [[], [], []]
    assert written_rows(SEEDS[:0], NAMES).empty


@pytest.mark.parametrize("rows_of_steps", [0, 1])
def test_all_provenances_make_one_dataset_with_a_card(
    accepted: pd.DataFrame, rows_of_steps: int, tmp_path: Path
) -> None:
    parts = [labelled([f"кофта {split}"], split) for split in SPLITS]
    real, written = real_rows(pd.concat(parts)), written_rows(SEEDS[:1], NAMES)
    rows = pd.concat([real, written, synthetic_rows(accepted.head(rows_of_steps))], ignore_index=True)
    check_leaks(rows, pd.DataFrame({"text": ["Пальто тёплое"]}))
    write_splits(rows, NAMES, tmp_path / "set")
    of_steps = {"style": {"обувь": 1}} if rows_of_steps else {}
    train = pd.read_parquet(tmp_path / "set/train.parquet")
    assert train_counts(train, NAMES) == {"real": {"одежда": 1}, "written": {"обувь": 1}} | of_steps
    text = card(
        rows,
        Labels(language="ru", names=NAMES),
        {"teacher": Model(name="qwen", source="hub", repo="a/b", license="MIT")},
    )
    assert text.startswith("---\n")
    assert ("| category | real | written | style |" in text) == bool(rows_of_steps)
    # What Hugging Face users type opens it, with the names of the labels.
    (tmp_path / "set/README.md").write_text(text, encoding="utf-8")
    opened = load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "hf"))
    assert {split: len(opened[split]) for split in opened} == {"train": 2 + rows_of_steps, "validation": 1, "test": 1}
    assert opened["train"].features["label"].names == NAMES
    assert opened["train"].features["label"].int2str(opened["train"]["label"][0]) == "одежда"


EVIL = ["обувь | x ---", "<script>alert(1)</script>", 'a: `b` "c" # d', "[нажми](http://x)"]


def test_names_that_are_markup_are_text_in_the_card() -> None:
    rows = pd.concat([real_rows(labelled([f"кофта {name}"], "train")).assign(label=name) for name in EVIL])
    model = Model(name=EVIL[1], source="hub", repo="a/b", license="x\n---\n")
    text = card(rows, Labels(language="ru", names=EVIL), {"teacher": model})
    _, front, body = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    assert yaml.safe_load(front)["language"] == ["ru"]
    assert yaml.safe_load(front)["license"] == "other"
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert not re.findall(r"<(?:script|a|img|hr)\b", rendered)
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", rendered)]
    assert cells == [" ".join(name.split()) for name in EVIL]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_seed_among_held_out_reviews_is_a_leak(split: str) -> None:
    rows = pd.concat([real_rows(labelled(["кеды, ЖМУТ!"], split)), written_rows(SEEDS[:1], NAMES)])
    with pytest.raises(DataError, match="more than one split"):
        check_leaks(rows, pd.DataFrame({"text": []}))


def test_a_seed_in_a_gold_file_is_a_leak() -> None:
    with pytest.raises(DataError, match="checked file"):
        check_leaks(written_rows(SEEDS[:1], NAMES), pd.DataFrame({"text": ["кеды... жмут"]}))


def test_a_name_that_is_a_held_out_review_is_no_leak_but_left_out() -> None:
    names = SEEDS.assign(text=SEEDS["product"], notes="")
    left = unlike(names, pd.Series(["Кеды!", "чашка треснула"]))
    assert left["text"].to_list() == ["платье", "чашка"]
    assert unlike(names, pd.Series([], dtype=str)).equals(names)
