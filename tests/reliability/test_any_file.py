"""Whatever file is brought: what was written is what is read, or it is refused with a reason; no row is lost."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import stages.ingest
from stages.common.labels import Labels
from stages.common.texts import letters
from stages.composition.compose import compose
from stages.ingestion.cleaning import clean
from stages.ingestion.config import Data, Gold
from stages.ingestion.inputs import raw_texts
from stages.reading.table import MISSING
from stages.running.errors import DataError
from stages.running.io import read_json
from stages.vocabulary.config import VocabularyFiles
from tests.conftest import ROOT
from tests.reliability.written_files import (
    COLUMN,
    Written,
    any_files,
    cyrillic_files,
    ordinary_files,
    reviews,
    strange,
)

# The folder of a test serves all of its examples, each of which writes its own file.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
# The same ones every time: what they do not find is looked for among thousands of new ones.
FEW = settings(max_examples=50, derandomize=True, suppress_health_check=SHARED)
MANY = settings(max_examples=3000, suppress_health_check=SHARED)
THROUGH_THE_COMMAND = settings(max_examples=8, suppress_health_check=SHARED)
# So many rows that are kept leave every split its share.
KEPT = [f"платье номер {number} село после стирки" for number in range(30)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data_at(path: Path) -> Data:
    """Section `data` without checked files."""
    return Data(
        name="any", path=str(path), text_column=COLUMN, gold=Gold(folder="."), min_chars=2, max_chars=2000,
        max_file_mib=16, validation_share=0.15, test_share=0.1,
    )  # fmt: skip


def texts_read(file: Written) -> list[str]:
    """The texts that stage `ingest` reads of the file.

    Raises:
        DataError: it is refused.
    """
    path = Path(f"in{file.ending}")
    path.write_bytes(file.content)
    return [text for _, texts in raw_texts(data_at(path)) for text in texts]


def meant(texts: list[str]) -> list[str]:
    """`texts` as they are to be read: "nan" and its like, which programs write where there is no text, are empty."""
    return ["" if text.strip().casefold() in MISSING else text for text in texts]


@FEW
@given(file=ordinary_files())
def test_an_ordinary_file_is_read_as_it_was_written(file: Written) -> None:
    assert texts_read(file) == meant(file.texts)


@FEW
@given(file=cyrillic_files())
def test_a_file_of_a_russian_excel_is_read_as_it_was_written(file: Written) -> None:
    assert texts_read(file) == meant(file.texts)


def read_or_refused(file: Written) -> str:
    """Which of the two became of it."""
    try:
        read = texts_read(file)
    except DataError as error:
        refusal = str(error)
    else:
        assert read == meant(file.texts)
        return "read"
    assert "\n" not in refusal
    assert f"in{file.ending}" in refusal
    return "refused"


@FEW
@given(file=any_files())
def test_any_file_is_read_as_it_was_written_or_refused(file: Written) -> None:
    event(read_or_refused(file))


@pytest.mark.slow
@MANY
@given(file=any_files())
def test_any_of_thousands_of_files_is_read_as_it_was_written_or_refused(file: Written) -> None:
    event(read_or_refused(file))


@pytest.mark.parametrize(
    "content",
    [
        'Отзыв,"\\""\n"платье","5"\n"кофта","4"\n"юбка","3"\n',
        'Отзыв,"оценка\nплатье,"5"\nкофта,"4"\nюбка,"3"\n',
        'Отзыв,"оценка\nплатье,5\nкофта,"4"\nюбка,3\n',
        '"Отчёт за май\nОтзыв,оценка\nплатье,5\nкофта,"4"\nОтзыв,оценка\nюбка,3\n',
    ],
)
def test_a_quote_that_is_not_closed_above_the_rows_swallows_none(content: str) -> None:
    read_or_refused(Written(content.encode(), ".csv", ["платье", "кофта", "юбка"], "by hand"))


def test_a_file_in_capitals_is_in_the_encoding_of_a_russian_excel() -> None:
    texts = ["ПЛОХО", "ОТЛИЧНО ОТЛИЧНО", "НЕ ПРИШЛА"]
    assert texts_read(Written("\n".join([COLUMN, *texts]).encode("cp1251"), ".csv", texts, "by hand")) == texts


def check_accounts(texts: list[str]) -> None:
    """Every one of `texts` is in what `ingest` wrote: kept, set aside with a reason, or twin of a kept one."""
    counts = read_json(Path("data/ingest/counts.json"))
    assert counts["rows_in"] == len(texts)
    assert counts["rows_in"] == counts["rows_out"] + counts["quarantined"] + counts["duplicates"]
    kept = pd.read_parquet("data/ingest/reviews.parquet")
    with Path("data/ingest/quarantine.csv").open(encoding="utf-8", newline="") as opened:
        quarantined = list(csv.DictReader(opened))
    assert (len(kept), len(quarantined)) == (counts["rows_out"], counts["quarantined"])
    assert all(row["reason"] for row in quarantined)
    rows = [*kept["row"].astype(int), *(int(row["row"]) for row in quarantined)]
    assert len(rows) == len(set(rows))
    known = {letters(text) for text in kept["text"]}
    assert len(known) == len(kept)
    assert sum(letters(clean(text)) not in known for text in texts) <= len(quarantined)


@FEW
@given(texts=st.lists(st.one_of(reviews, strange, st.text(max_size=3)), max_size=30))
def test_rows_in_are_rows_out_quarantined_and_duplicates(texts: list[str], labels: list[str]) -> None:
    pd.DataFrame({COLUMN: [*KEPT, *texts]}).to_parquet("in.parquet")
    files = VocabularyFiles(
        seeds=str(ROOT / "data/raw/vocabulary/seeds.csv"), attributes=str(ROOT / "data/raw/vocabulary/attributes.yaml")
    )
    given = stages.ingest.Params(
        labels=Labels(language="ru", names=labels), vocabulary=files, data=data_at(Path("in.parquet"))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.ingest, "load", lambda _: given)
        stages.ingest.main()
    check_accounts([*KEPT, *texts])


def write_params(path: Path) -> None:
    """params.yaml with `path` as the input, and no checked files."""
    compose(Path("params.yaml"), ["data=own", "data.path=in.csv"], ROOT / "conf")
    params = OmegaConf.load("params.yaml")
    params.data.path, params.data.text_column = str(path), COLUMN
    params.vocabulary.seeds = str(ROOT / params.vocabulary.seeds)
    OmegaConf.save(params, "params.yaml")


@pytest.mark.slow
@THROUGH_THE_COMMAND
@given(file=any_files(KEPT))
def test_the_command_ends_well_or_with_a_line_that_says_why(file: Written) -> None:
    path = Path(f"in{file.ending}")
    path.write_bytes(file.content)
    write_params(path)
    command = [sys.executable, "-m", "stages.ingest"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    if done.returncode == 0:
        event("read")
        check_accounts(file.texts)
    else:
        event("refused")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("DataError: ")
        assert "Traceback" not in done.stderr
