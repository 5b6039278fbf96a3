"""A table of any length is answered in the memory of a part of it, and an interrupted run goes on."""

from __future__ import annotations

import logging
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.common.arrays import FloatArray
from stages.inference import streaming
from stages.inference.streaming import Options, answer_file
from stages.reading.table import CHUNK_ROWS
from stages.running.errors import DataError
from tests.conftest import ROOT
from tests.scripted_classifier import ScriptedClassifier

OPTIONS = Options("text", 0.5)
MODEL = Path("model")


def write_reviews(path: Path, rows: int, length: int = 1) -> pd.DataFrame:
    """Reviews with cells of every kind, some without text, some twice."""
    frame = pd.DataFrame({"id": [f"{number:06}" for number in range(rows)]})
    frame["text"] = [f"=платье {number % (rows - 7)} " * length * (number % 11 > 0) for number in range(rows)]
    frame["comment"] = ["", 'кавычки " и, запятая', "две\nстроки", "-15"] * (rows // 4)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return frame


class Remembering(ScriptedClassifier):
    """Remembers the texts it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        return super().predict_proba(texts)


def answer(source: Path, target: Path, options: Options = OPTIONS) -> Remembering:
    """Answer `source`; the classifier tells what it was asked."""
    classifier = Remembering(MODEL)
    answer_file(source, target, MODEL, lambda _: classifier, options)
    return classifier


def interrupt(source: Path, target: Path, after_texts: int) -> None:
    """Answer `source` with a classifier that fails after `after_texts`."""

    class Failing(Remembering):
        def predict_proba(self, texts: Sequence[str]) -> FloatArray:
            if len(self.asked) >= after_texts:
                raise KeyboardInterrupt
            return super().predict_proba(texts)

    with pytest.raises(KeyboardInterrupt):
        answer_file(source, target, MODEL, Failing, OPTIONS)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_row_comes_back_in_its_place(ending: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    given = write_reviews(source, rows=20_000)
    classifier = answer(source, target)
    answered = pd.read_parquet(target) if ending == "parquet" else pd.read_csv(target, dtype=str, keep_default_na=False)
    assert list(answered) == ["id", "text", "comment", "category", "confidence"]
    escaped = given.map(lambda cell: f"'{cell}" if cell[:1] == "=" else cell) if ending == "csv" else given
    pd.testing.assert_frame_equal(answered[list(given)], escaped)
    asked = dict(zip(classifier.asked, ScriptedClassifier(MODEL).predict_proba(classifier.asked), strict=True))
    confidence = pd.to_numeric(answered["confidence"])
    for row, text in enumerate(given["text"].str.strip()):
        if text:
            assert confidence[row] == round(asked[text].max(), 4)
            sure = asked[text].max() >= 0.5
            assert answered["category"][row] == (classifier.labels[asked[text].argmax()] if sure else "")
        else:
            assert answered["category"][row] == ""
            assert pd.isna(confidence[row])
    assert sorted(tmp_path.glob("*out*")) == [target]


def test_the_same_text_is_asked_once_a_chunk(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["да", "<b>да</b>", "", "нет"] * 500}).to_csv(tmp_path / "in.csv", index=False)
    assert answer(tmp_path / "in.csv", tmp_path / "out.csv").asked == ["да", "нет"] * 2


def test_a_killed_run_goes_on_and_gives_what_an_uninterrupted_one_gives(tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.csv", rows=8000)
    answer(tmp_path / "in.csv", tmp_path / "whole.csv")
    whole = (tmp_path / "whole.csv").read_bytes()
    target = tmp_path / "out.csv"
    command = [sys.executable, "-m", "tests.scripted_classifier", str(tmp_path / "in.csv"), str(target)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAZMETKA_SCRIPTED_DELAY": "0.0003"}
    drawn = random.Random(0)
    kills, starts = 0, []

    def parts() -> list[Path]:
        return [*(tmp_path / "out.csv.part").glob("*.parquet")]

    while not target.exists():
        before = len(parts())
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        # At any moment after it has come further.
        while process.poll() is None and len(parts()) <= before:
            time.sleep(0.02)
        time.sleep(drawn.uniform(0.0, 0.5))
        kills += process.poll() is None
        process.kill()
        _, log = process.communicate()
        starts += [int(row) for row in re.findall(rb"going on at row (\d+) of 8000", log)]
    assert kills >= 1
    assert starts == sorted(starts)
    assert any(0 < row < 8000 and row % CHUNK_ROWS == 0 for row in starts)
    assert target.read_bytes() == whole
    # A process that is killed after the file is complete leaves the parts, for the next run to take away.
    answer(tmp_path / "in.csv", target)
    assert target.read_bytes() == whole
    assert not (tmp_path / "out.csv.part").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_interrupted_run_asks_for_nothing_twice(
    ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source, target = tmp_path / "in.parquet", tmp_path / f"out.{ending}"
    write_reviews(source, rows=4000)
    everything = answer(source, tmp_path / f"whole.{ending}").asked
    interrupt(source, target, after_texts=1200)
    assert not target.exists()
    rest = answer(source, target).asked
    assert f"going on at row {CHUNK_ROWS} of 4000" in caplog.text
    assert rest == everything[-len(rest) :]
    assert len(rest) < len(everything)
    assert target.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_another_input_model_or_option_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    source, target = Path("in.csv"), Path("out.csv")
    write_reviews(source, rows=2000)
    everything = len(answer(source, target).asked)

    interrupt(source, target, after_texts=1000)
    assert len(answer(source, target, Options("text", 0.1)).asked) == everything
    interrupt(source, target, after_texts=1000)
    MODEL.mkdir()
    (MODEL / "weights").write_bytes(b"other")
    assert len(answer(source, target).asked) == everything
    interrupt(source, target, after_texts=1000)
    source.write_text(source.read_text().replace("платье 1990", "кофта 1990"))
    assert len(answer(source, target).asked) == everything
    for what in ("--min-confidence", "model", "input"):
        assert f"out.csv.part is of another {what}: starting over" in caplog.text


def test_a_fault_far_down_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    write_reviews(tmp_path / "in.csv", rows=4000)
    with (tmp_path / "in.csv").open("a") as file:
        file.write("4000,кофта,1,да,нет\n")

    def load(folder: Path) -> ScriptedClassifier:
        raise AssertionError("the classifier is not needed for a broken file")

    with pytest.raises(DataError, match=r"in\.csv, line \d+: 5 cells under 3 names"):
        answer_file(tmp_path / "in.csv", tmp_path / "out.csv", MODEL, load, OPTIONS)
    assert not list(tmp_path.glob("out*"))


def test_an_input_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    write_reviews(source, rows=2000)

    class Meddling(ScriptedClassifier):
        def predict_proba(self, texts: Sequence[str]) -> FloatArray:
            source.write_text("text\nдругое\n")
            return super().predict_proba(texts)

    with pytest.raises(DataError, match=r"in\.csv was changed while it was read"):
        answer_file(source, tmp_path / "out.csv", MODEL, Meddling, OPTIONS)
    answer(source, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["text"].to_list() == ["другое"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_seven_times_the_rows_take_no_more_memory(ending: str, tmp_path: Path) -> None:
    peaks = []
    for rows in (4000, 30_000):
        source, target = tmp_path / f"{rows}.{ending}", tmp_path / f"out_{rows}.{ending}"
        write_reviews(source, rows, length=25)
        command = [sys.executable, "-m", "tests.scripted_classifier", str(source), str(target)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    # Read whole, it would be 130 MiB more.
    assert peaks[1] < peaks[0] + 50, peaks


def test_parts_are_put_together_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PARTS_AT_A_TIME", 2)
    write_reviews(tmp_path / "in.csv", rows=3 * CHUNK_ROWS)
    answer(tmp_path / "in.csv", tmp_path / "out.parquet")
    written = pq.read_metadata(tmp_path / "out.parquet")
    groups = [written.row_group(number).num_rows for number in range(written.num_row_groups)]
    assert groups == [2 * CHUNK_ROWS, CHUNK_ROWS]
