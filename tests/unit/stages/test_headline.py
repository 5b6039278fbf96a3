import pytest

from stages import headline
from stages.common.errors import DataError
from stages.common.provenances import PROVENANCES
from stages.scoring.agreement import AGREEMENT
from stages.scoring.scores import Score, as_table

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


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="make repro"):
        headline.main()
