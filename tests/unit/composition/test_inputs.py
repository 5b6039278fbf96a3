"""What can be known before a run is said before it."""

import pytest

from stages.common.texts import text_id
from stages.composition.compose import compose
from stages.composition.inputs import check_inputs
from stages.running.errors import ConfigError, DataError
from tests.conftest import ROOT

REVIEWS = [f"отзыв номер {number}, товар хороший" for number in range(60)]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(ROOT / "data/raw")
    (tmp_path / "annotations").symlink_to(ROOT / "annotations")
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine/reviews.csv", "text", *REVIEWS)
    return tmp_path


def write(path, *lines):
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def check(workspace, *overrides):
    own = ["data=own", "data.path=mine/reviews.csv", *overrides]
    check_inputs(compose(workspace / "params.yaml", own, ROOT / "conf"))


GOLD = ["data.gold.folder=mine", "+data.gold.sets.mine=gold.csv"]


def test_what_is_in_order_passes(workspace):
    write(workspace / "mine/gold.csv", "text,label", "Сапоги отличные,Обувь")
    check(workspace, *GOLD)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["data.path=no.csv"], DataError, r"no\.csv does not exist; check data\.path"),
        (["data.text_column=review"], DataError, "no column 'review'; it has 'text'"),
        (["+train.loss.class_weights.shoes=2"], ConfigError, "class_weights: 'shoes' is not one of"),
        (["data.gold.folder=."], ConfigError, r"data\.gold\.folder=\. holds data/, the results of the run"),
        (["prompt.template=no.jinja"], ConfigError, r"no\.jinja does not exist"),
        (["data.validation_share=0.001"], DataError, "too few into validation"),
        (["data.limit=2"], DataError, "2 of 2 rows are usable, too few"),
        (["data.gold.calibration=gold.csv", *GOLD], DataError, "a gold set has all of its rows"),
        (["+data.gold.sets.human=gold.csv"], ConfigError, r"data\.gold\.sets\.human has the name that the answers"),
        (["human.answers=no.csv"], ConfigError, r"human\.answers=no\.csv does not exist"),
    ],
)
def test_faults_are_told_at_once(workspace, overrides, error, message):
    write(workspace / "mine/gold.csv", "text,label", "Сапоги отличные,обувь")
    with pytest.raises(error, match=message):
        check(workspace, *overrides)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["Сапоги отличные,обуви"], r"gold\.csv, row 2: label 'обуви' is not one of"),
        (["Сапоги,обувь", "сапоги!,одежда"], r"1 texts have several labels \(row 2 'обувь', row 3 'одежда'\)"),
        ([f'"{review}",одежда' for review in REVIEWS], "0 of 60 rows are usable .60 also in a checked file"),
        ([], "has a header but no rows"),
    ],
)
def test_faults_of_checked_files_are_told_at_once(workspace, rows, message):
    write(workspace / "mine/gold.csv", "text,label", *rows)
    with pytest.raises(DataError, match=message):
        check(workspace, *GOLD)


def test_answers_to_reviews_of_this_run_are_of_its_categories(workspace):
    answers = workspace / "mine/answers.csv"
    rows = [f'{text_id(text)},"{text}",books,random' for text in ("These books are fine", *REVIEWS[:1])]
    named = [*GOLD, f"human.answers={answers.relative_to(workspace)}"]
    write(workspace / "mine/gold.csv", "text,label", "Сапоги отличные,Обувь")
    write(answers, "id,text,label,drawn", rows[0])
    check(workspace, *named)
    write(answers, "id,text,label,drawn", *rows)
    with pytest.raises(DataError, match=r"mine/answers\.csv, row 3: label 'books' is not one of"):
        check(workspace, *named)


def test_a_seed_is_no_checked_review_and_no_review(workspace):
    seeds = (ROOT / "data/raw/vocabulary/seeds.csv").read_text(encoding="utf-8").splitlines()
    write(workspace / "mine/seeds.csv", *seeds, "Тапки-мыши от моей бабушки,обувь,тапки,от бабушки")
    write(workspace / "mine/gold.csv", "text,label", "Тапки-мыши от моей бабушки!,обувь")
    with pytest.raises(DataError, match=f"vocabulary.seeds, row {len(seeds) + 1}: 'Тапки-мыши.*also in a checked file"):
        check(workspace, *GOLD, "vocabulary.seeds=mine/seeds.csv")
    write(workspace / "mine/reviews.csv", "text", "тапки-мыши от моей бабушки", "Тапки-мыши от моей бабушки...")
    with pytest.raises(DataError, match=r"0 of 2 rows are usable .2 also among the written seeds"):
        check(workspace, "vocabulary.seeds=mine/seeds.csv")
