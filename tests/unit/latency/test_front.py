import pytest

from stages.latency.front import Kind, front
from stages.running.io import read_json
from tests.conftest import ROOT

MEASURED = read_json(ROOT / "benchmarks/front.json")
GEMMA = Kind("embeddinggemma-300m", False, False)


def test_the_student_in_use_is_marked_in_the_format_in_use_alone() -> None:
    marked = [(row["student"], row["format"]) for row in front(MEASURED, GEMMA, "int8")["rows"] if row["in_use"]]
    assert marked == [("EmbeddingGemma", "int8")]
    fast = front(MEASURED, Kind("embeddinggemma-300m", True, False), "fp32")["rows"]
    assert [(row["student"], row["format"]) for row in fast if row["in_use"]] == [("static vectors of words", "fp32")]
    small = front(MEASURED, Kind("e5-small", True, False), "int8")["rows"]
    assert [row["student"] for row in small if row["in_use"]] == ["e5-small, distilled"]
    # A head on it as it is was not measured.
    assert not any(row["in_use"] for row in front(MEASURED, Kind("e5-small", False, False), "fp32")["rows"])


def test_points_and_ticks_share_a_logarithmic_scale() -> None:
    shown = front(MEASURED, GEMMA, "fp32")
    ticks = {float(tick["ms"]): tick["x"] for tick in shown["ticks"]}
    assert (min(ticks.values()), max(ticks.values())) == (0, 100)
    for row in shown["rows"]:
        below = max(ms for ms in ticks if ms <= row["ms"]["median"])
        assert ticks[below] <= row["x"] <= ticks[10 * below]
    slow, fast = shown["rows"][0], shown["rows"][-1]
    assert slow["x"] > fast["x"]


def test_measures_are_named_by_whose_rows_they_are() -> None:
    parts = {part["name"]: part["measure"] for part in front(MEASURED, GEMMA, "fp32")["parts"]}
    assert (parts["gold"], parts["gold_dev"]) == ("macro F1", "weighted F1")


def test_one_student_has_a_scale_too_and_none_has_no_front() -> None:
    alone = {**MEASURED, "results": [{**MEASURED["results"][0], "ms": {"median": 10.0, "low": 9.0, "high": 11.0}}]}
    assert [tick["ms"] for tick in front(alone, GEMMA, "fp32")["ticks"]] == ["10", "100"]
    assert front(read_json(ROOT / "conf/front/none.json"), GEMMA, "fp32") == {}


def test_another_record_is_none() -> None:
    with pytest.raises(KeyError):
        front({"results": [{"student": "a"}]}, GEMMA, "fp32")
