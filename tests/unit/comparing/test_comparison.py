"""`python -m stages.compare` over two runs in a real repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

import stages.compare
from stages.compare import PAGE, compare
from stages.comparing.changes import MOST_ROWS, labels
from stages.reporting.page import page
from stages.running.errors import DataError
from tests.conftest import ROOT
from tests.unit.comparing.conftest import DVC, run
from tests.unit.reporting.conftest import ATTACK
from tests.unit.reporting.test_page import Tags


def shown(text: str) -> list[list[str]]:
    return [[said for said, _ in row[2]] for row in text["list"]["rows"]]


def test_everything_that_changed_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = compare("before")
    assert found["missing"] == []
    assert found["settings"] == [{"key": "evaluate.bootstrap", "before": "200", "after": "300"}]
    assert found["summary"] == [{"name": "macro_f1", "before": 0.5, "after": 0.75, "difference": 0.25}]
    assert found["scores"][0]["measures"]["macro_f1"] == {"before": 0.5, "after": 0.75, "difference": 0.25}
    assert [(row["who"], row["rows"]["difference"]) for row in found["scores"]] == [("style", 0), ("teacher", -2)]
    assert found["gains"][0]["before"] == {"difference": 0.1, "low": 0.0, "high": 0.2}
    assert [(row["name"], row["difference"]) for row in found["rows"]] == [("real", 0), ("style", 100)]
    assert (found["labels"]["both"], found["labels"]["changed"]) == (3, 1)
    assert found["labels"]["moves"] == [{"before": "обувь", "after": "одежда", "rows": 1}]
    assert found["labels"]["list"]["rows"][0][0] == ATTACK
    predictions = found["predictions"]
    (main,) = predictions["sets"]
    assert (main["paired"].rows, main["paired"].now_right, main["paired"].now_wrong) == (3, 1, 1)
    assert main["paired"].p_value == 1
    # One was checked by nobody: what it became nobody knows.
    assert (predictions["both"], predictions["changed"], predictions["unpaired"]) == (4, 3, 1)
    assert {tuple(row) for row in shown(predictions)} == {
        ("обувь", "одежда", "обувь"),
        ("одежда", "одежда", "обувь"),
        ("", "обувь", "одежда"),
    }
    notes = [row[3] for row in predictions["list"]["rows"]]
    assert notes == ["now right, main", "now wrong, main", "nobody knows, main"]
    assert found["answers"]["counts"] == {"new": 1, "changed": 0, "withdrawn": 0}
    assert found["answers"]["list"]["rows"][0][0] == "=кеды"

    monkeypatch.setattr(sys, "argv", ["compare", "before"])
    stages.compare.main()
    told = capsys.readouterr().out
    assert "1 now right, 1 now wrong (McNemar p = 1)" in told
    assert "changed: predictions 3, labels 1, answers 1, settings 1" in told
    html = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"of \d+ → \d+ rows", html) == ["of 4 → 2 rows"]
    tags = Tags(html)
    assert [given.get("id") for tag, given in tags.found if tag == "script"] == [
        "predictions-rows", "labels-rows", "answers-rows", None,
    ]  # fmt: skip
    assert not [tag for tag, _ in tags.found if tag in ("img", "iframe")]
    assert json.loads(tags.scripts[1])["rows"][0][0] == ATTACK


def test_the_same_run_has_changed_in_nothing(repository: Path) -> None:
    run("git", "add", "-A", folder=repository)
    run(*DVC, "commit", "-q", "--force", folder=repository)
    run("git", "commit", "-qam", "the same", folder=repository)
    found = compare("HEAD")
    assert found["settings"] == []
    assert [found[part]["changed"] for part in ("labels", "predictions", "answers")] == [0, 0, 0]
    assert "are the same" in page({**found, "lists": {}, "most": MOST_ROWS}, "comparison.html.jinja", "reviews.js")


@pytest.mark.parametrize("lost", ["*", "*[!r]"], ids=["all", "files alone"])
def test_what_the_cache_has_lost_is_named_and_the_rest_shown(
    lost: str, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The list of a folder's files is kept as <digest>.dir.
    for kept in (repository / ".dvc/cache/files/md5").glob(f"*/{lost}"):
        kept.unlink()
    (repository / "data/measures/rows.json").unlink()
    found = compare("before")
    assert (found["labels"], found["predictions"], found["rows"]) == (None, None, [])
    assert found["summary"][0]["difference"] == 0.25
    assert found["answers"]["counts"]["new"] == 1
    lines = found["missing"]
    assert "data/evaluate/predictions.csv: no longer in DVC's cache in revision before" in lines
    assert "data/measures/rows.json: not in the working tree" in lines
    monkeypatch.setattr(sys, "argv", ["compare", "before"])
    stages.compare.main()
    assert lines[0] in capsys.readouterr().out
    assert "no longer in DVC" in PAGE.read_text(encoding="utf-8")


def test_a_run_whose_settings_are_of_another_version_is_refused_in_one_line(repository: Path) -> None:
    run("git", "stash", "-q", folder=repository)
    settings = (repository / "params.yaml").read_text().splitlines()
    (repository / "params.yaml").write_text("\n".join(settings[:-1]) + "\n")
    run("git", "commit", "-qam", "older", folder=repository)
    run("git", "tag", "older", folder=repository)
    run("git", "reset", "-q", "--hard", "before", folder=repository)
    with pytest.raises(DataError, match=r"^params.yaml of revision 'older' \([0-9a-f]{12}\) has no human.answers: "):
        compare("older")


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("gone", "unknown Git revision 'gone'; to compare with, name a commit, a tag, a branch or an experiment"),
        ("nothing", r"revision 'nothing' \([0-9a-f]{12}\) has no metrics/scores.csv: no run to compare"),
    ],
    ids=["unknown", "without a run"],
)
def test_a_revision_without_a_run_is_told_in_one_line(repository: Path, revision: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare(revision)
    assert not PAGE.exists()


def test_a_working_tree_without_a_run_and_a_folder_without_git_are_told_so(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    with pytest.raises(DataError, match="no Git here, so there is no other run to compare with"):
        compare("before")
    (repository / "metrics/scores.csv").unlink()
    with pytest.raises(DataError, match=r"the working tree has no metrics/scores.csv"):
        compare("before")


def test_answers_of_another_shape_are_named(repository: Path) -> None:
    (repository / "annotations/answers.csv").write_text("id;text;label\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"annotations/answers.csv of the working tree has no columns id, text and label"
    ):
        compare("before")


def test_an_experiment_of_dvc_has_a_name_to_compare_with(repository: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "before"], cwd=repository, capture_output=True, text=True
    ).stdout.strip()
    # As `dvc exp run` keeps one: a commit under refs/exps/<first two>/<rest of the baseline>/<name>.
    run("git", "update-ref", f"refs/exps/{commit[:2]}/{commit[2:]}/brave-name", commit, folder=repository)
    assert compare("brave-name")["commit"] == commit[:12]


def test_a_page_of_a_large_shop_says_what_it_leaves_out() -> None:
    size = MOST_ROWS + 7
    before = pd.DataFrame(
        {"id": map(str, range(size)), "text": "текст", "label": "а", "confidence": 0.5, "split": "train"}
    )
    found = labels(before, before.assign(label="б"))
    assert found["changed"] == size
    assert len(found["list"]["rows"]) == MOST_ROWS
    empty = {"settings": [], "summary": [], "scores": [], "gains": [], "rows": [], "answers": None, "predictions": None}
    told = {"revision": "a", "commit": "b", "missing": [], "coverage": "95%", "lists": {}, "most": MOST_ROWS}
    html = page({**empty, **told, "labels": found}, "comparison.html.jinja", "reviews.js")
    assert "The 2,000 surest are listed; 7 more changed." in html


def test_make_compares_by_any_name(repository: Path) -> None:
    for name in ("Makefile", "stages"):
        (repository / name).symlink_to(ROOT / name)
    name = "odd/$(x)$HOME'#;&"
    run("git", "update-ref", f"refs/tags/{name}", "before", folder=repository)
    # The environment counts as made: it is the one that runs this.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "-s", "--old-file=.venv/.ready", "report", f"COMPARE={name}"]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "changed: predictions 3," in done.stdout
    assert done.stdout.endswith(f"{PAGE}\n")
    assert name in unescape(PAGE.read_text(encoding="utf-8"))
