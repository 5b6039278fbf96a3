import json
from dataclasses import asdict

import pytest

from stages import headline
from stages.common.provenances import PROVENANCES
from stages.running.errors import DataError
from stages.running.record import RECORD, Entry
from stages.scoring.agreement import AGREEMENT
from stages.scoring.records import as_table
from stages.scoring.scores import Score

INTERVALS = (0.5, 0.4, 0.6, 0.5, 0.4, 0.6, 0.3, 0.2, 0.4, 0.1, 0.1)


def test_a_row_for_each_subset_and_classifier():
    scores = [Score("gold", who, part, 9, *INTERVALS) for part in ("all", "clear") for who in ("teacher", *PROVENANCES)]
    table = headline.score_table(as_table(scores, Score))
    assert table["by"].to_list() == ["teacher", "student (real)", "student (style)"] * 2
    assert table["weighted F1"].iloc[0] == "0.500 [0.400, 0.600]"
    assert table["macro F1"].iloc[0] == "0.300 [0.200, 0.400]"


def test_agreement_is_not_called_f1():
    table = headline.score_table(as_table([Score(AGREEMENT, "real", "all", 5, 0.8, 0.7, 0.9)], Score))
    assert list(table.columns) == ["reviews", "part", "rows", "by", "agreement"]


def test_stages_are_summed_and_say_what_they_did():
    table = headline.time_table(
        [
            Entry("label", 1.0, 186.0, 362.0, 5.1, True, {"answers": 670, "fresh tokens": 38927}),
            Entry("train@real", 200.0, 14.0, 20.0, 2.5, True, {}),
        ]
    )
    assert table["stage"].to_list() == ["label", "train@real", "all stages"]
    assert table["took"].to_list() == ["3 min 6 s", "14 s", "3 min 20 s"]
    assert table["processor"].iloc[-1] == "6 min 22 s"
    assert table["peak, GB"].iloc[-1] == 5.1
    assert table["did"].to_list() == ["670 answers, 38,927 fresh tokens", "", ""]


def test_only_what_ran_since_then_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    headline.print_times(since=None)
    assert capsys.readouterr().out == ""
    lines = [asdict(Entry(stage, began, 60.0, 60.0, 1.0, True, {})) for stage, began in (("old", 10.0), ("new", 30.0))]
    RECORD.parent.mkdir()
    RECORD.write_text("".join(json.dumps(line) + "\n" for line in lines))
    headline.print_times(since=20.0)
    printed = capsys.readouterr().out
    assert "new" in printed
    assert "old" not in printed
    assert "what DVC found up to date is not listed" in printed


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["headline"])
    with pytest.raises(DataError, match="make repro"):
        headline.main()
