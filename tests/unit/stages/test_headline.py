import pytest

from stages import headline
from stages.common.errors import DataError
from stages.common.schema import PROVENANCES

SCORES = {"weighted_f1": 0.5, "weighted_f1_low": 0.4, "weighted_f1_high": 0.6}
SCORES |= {"macro_f1": 0.3, "macro_f1_low": 0.2, "macro_f1_high": 0.4, "ece": 0.1, "rows": 9}


def test_a_row_for_each_classifier_and_subset():
    by_who = {who: {"all": SCORES, "clear": SCORES} for who in ("teacher", *PROVENANCES)}
    table = headline.score_table({"gold": by_who})
    assert table["by"].to_list() == ["teacher"] * 2 + ["student (real)"] * 2 + ["student (style)"] * 2
    assert table["weighted F1"][0] == "0.500 [0.400, 0.600]"


def test_agreement_is_not_called_f1():
    shares = {"rows": 5, "agreement": 0.8, "agreement_low": 0.7, "agreement_high": 0.9}
    table = headline.score_table({"agreement_with_teacher": {"real": shares}})
    assert list(table.columns) == ["reviews", "by", "agreement"]


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="make repro"):
        headline.main()
