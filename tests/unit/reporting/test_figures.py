import dataclasses
from operator import itemgetter
from pathlib import Path

import pandas as pd
import pytest

from stages.reporting import figures
from stages.reporting.run import Run, read_run
from stages.running.errors import DataError
from stages.weights.config import Model
from tests.unit.reporting.conftest import ATTACK


def test_a_missing_file_is_named(folder: Path, run: Run) -> None:
    (folder / "metrics/scores.csv").unlink()
    with pytest.raises(DataError, match=r"scores.csv does not exist; run `make repro`"):
        read_run(run.params)


def test_texts_lose_the_spreadsheet_apostrophe_and_nothing_else(run: Run) -> None:
    assert run.predictions["text"].to_list()[:3] == [ATTACK, "=туфли", "туфли"]


def test_scores_have_a_table_for_each_set_and_part_the_main_one_first(run: Run) -> None:
    tables = figures.scores(run)
    assert [(table["set"], table["part"]) for table in tables] == [
        ("main", "all"),
        ("other", "all"),
        ("other", "clear"),
    ]
    assert [row["who"] for row in tables[0]["classifiers"]] == ["teacher", "real", "style"]
    assert tables[0]["classifiers"][2]["measures"]["macro_f1"] == {
        "value": 0.4,
        "low": 0.3,
        "high": 0.5,
    }


def test_who_was_asked_about_a_part_of_the_rows_is_named_with_their_number(run: Run) -> None:
    scores = run.scores.copy()
    rows = int(scores.loc[0, "rows"])
    scores.loc[(scores["gold_set"] == "main") & (scores["who"] == "teacher"), "rows"] = 1
    fewer = dataclasses.replace(run, scores=scores)
    table = figures.scores(fewer)[0]
    assert [row["name"] for row in table["classifiers"]][:2] == ["teacher, 1 of the rows", "student, real rows"]
    assert table["rows"] == figures.gold(fewer)["rows"] == rows > 1


def test_classes_are_counted_before_and_after(run: Run) -> None:
    kinds = itemgetter("real", "written", "synthetic", "rare")
    by_label = {row["label"]: kinds(row) for row in figures.classes(run)}
    assert by_label["обувь"] == (1, 10, 3, True)
    assert by_label["посуда"] == (0, 10, 3, True)
    assert by_label["одежда"] == (8, 0, 0, False)
    assert figures.train_rows(run) == {"real": 14, "human": 0, "written": 20, "synthetic": 6}


def test_of_people_is_told_where_they_answered(run: Run, answered: Run) -> None:
    assert figures.train_rows(answered) == {"real": 14, "human": 5, "written": 20, "synthetic": 6}
    assert [row["name"] for row in figures.scores(answered)[0]["classifiers"]] == [
        "teacher",
        "student + written rows",
        "student + people’s answers",
        "student + synthetic (style)",
    ]
    # Without answers the student `human` is the one before it.
    nobody = dataclasses.replace(answered, rows=run.rows)
    assert "human" not in {row["who"] for row in figures.scores(nobody)[0]["classifiers"]}
    assert figures.figures(run)["answers"] == {}


def test_steps_say_what_became_of_their_candidates(run: Run) -> None:
    base, paraphrase, _ = figures.steps(run)
    assert (base["candidates"], base["accepted"], base["yield"], base["reasons"]) == (8, 2, 0.25, [("script", 6)])
    assert (paraphrase["candidates"], paraphrase["yield"], paraphrase["reasons"]) == (0, None, [])


def test_each_picture_has_the_points_that_the_drawn_one_has(run: Run) -> None:
    scatter = figures.scatter(run)
    names = [picture["name"] for picture in scatter["pictures"]]
    assert names == [
        "original_data",
        "all_data_initial",
        "almost_all_data_initial",
        "all_data_paraphrase",
        "almost_all_data_paraphrase",
        "all_data_final",
        "almost_all_data_final",
    ]
    sizes = [sum(bits >> number & 1 for bits in scatter["points"]["pictures"]) for number in range(len(names))]
    # 14 real rows, one of them of a rare class; 2 synthetic rows after the first step, 6 in the end.
    assert sizes == [14, 16, 15, 16, 15, 20, 19]


def test_a_large_class_is_thinned_out_and_a_small_one_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "POINTS_OF_A_KIND", 3)
    scatter = figures.scatter(run)
    assert (scatter["shown"], scatter["of"]) == (3 + 3 + 1 + 2 + 1 + 3, 20)


def test_confidence_comes_along_where_the_points_have_it(run: Run) -> None:
    without = dataclasses.replace(run, points=run.points.drop(columns="confidence"))
    assert set(figures.scatter(without)["points"]["confidence"]) == {None}
    sure = run.points.assign(confidence=[0.5, *[float("nan")] * (len(run.points) - 1)])
    assert figures.scatter(dataclasses.replace(run, points=sure))["points"]["confidence"][:2] == [0.5, None]


def test_what_had_no_part_in_the_run_is_not_listed(run: Run) -> None:
    model = run.params.models["student"]
    given = dataclasses.replace(
        run, params=dataclasses.replace(run.params, models=dict.fromkeys(("teacher", "generator", "student"), model))
    )
    assert set(figures.used_models(given)) == {"teacher", "generator", "student"}
    assert "wanted in a rare class" in figures.settings(given)
    alone = dataclasses.replace(given, steps={step: run.steps["style"] for step in run.steps})
    assert set(figures.used_models(alone)) == {"teacher", "student"}
    assert "wanted in a rare class" not in figures.settings(alone)


def test_errors_are_the_most_confident_ones_at_most_two_of_a_kind(run: Run) -> None:
    errors = figures.errors(run)
    assert [(error["id"], error["lesson"]) for error in errors] == [
        ("a", "learned from the teacher"),
        ("b", "the teacher was right"),
    ]


def test_confusion_is_of_the_main_set(run: Run) -> None:
    confusion = figures.confusion(run)
    row, column = (confusion["labels"].index(name) for name in ("обувь", "одежда"))
    assert confusion["counts"][row][column] == 3
    assert sum(map(sum, confusion["counts"])) == 4


def test_class_f1_sets_real_and_final_side_by_side(run: Run) -> None:
    rows = figures.class_f1(run)
    assert [(row["real"], row["final"], row["teacher"]) for row in rows] == [(0.0, 0.25, 0.5)] * 3
    assert rows[0]["gain"]["difference"] == 0.25
    assert rows[1]["gain"] is None


def test_without_checked_reviews_everything_is_agreement(unchecked: Run) -> None:
    given = figures.figures(unchecked)
    assert given["gold"] == {"name": "agreement_with_teacher", "checked": False, "rows": 4}
    assert list(given["scores"][0]["classifiers"][0]["measures"]) == ["agreement"]
    assert given["scatter"] == given["gain"] == given["speed"] == {}
    assert given["steps"] == given["class_f1"] == []
    assert {error["lesson"] for error in given["errors"]} == {""}
    assert sum(map(sum, given["confusion"]["counts"])) == 4


def test_models_name_their_exact_weights(run: Run) -> None:
    hub = Model(name="big", source="hub", license="MIT", repo="some/big", revision="0123abcd")
    listed = figures.models({"teacher": hub, "generator": hub, "student": run.params.models["student"]})
    assert [model["roles"] for model in listed] == [["teacher", "generator"], ["student"]]
    assert listed[0]["version"] == "0123abcd"
    assert listed[1]["version"] == "listed in conf/models/wheels/embeddinggemma-300m.yaml"


def test_markers_are_within_a_unit(run: Run) -> None:
    for label in figures.scatter(run)["labels"]:
        corners = label["shape"].replace("M", " ").replace("Z", " ").split()
        assert len(corners) >= 3
        assert max(abs(float(number)) for corner in corners for number in corner.split(",")) == 1


def test_an_empty_prediction_table_has_no_bins_and_no_errors(unchecked: Run) -> None:
    empty = dataclasses.replace(unchecked, predictions=pd.DataFrame(unchecked.predictions.iloc[:0]))
    assert figures.reliability(empty) == figures.errors(empty) == []
