"""What dvc.yaml says of the stages: the code they run, the parameters they read, the students there are."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import fields
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from stages.common.provenances import FINAL, PROVENANCES, SYNTHETIC_STEPS
from stages.drawing.pictures import choose_pictures
from tests.code_deps import ROOT, closure, code_deps, definitions, entry, reruns

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = definitions()
FILES = sorted((ROOT / "stages").rglob("*.py"))
# How many stages a definition makes.
COPIES = {"models": len(PARAMS["models"]), "generate": len(SYNTHETIC_STEPS), "train": len(PROVENANCES)}
# Those that take minutes or cost money.
EXPENSIVE = {"models", "label", "embed", "generate", "train"}
# Packages that draw, print or score.
TELLING = ("drawing", "measures", "listing", "comparing", "reporting", "scoring", "latency", "hardware/sizing.py")


def code(name: str) -> list[str]:
    return [dep for dep in STAGES[name]["deps"] if dep.startswith("stages/") and "$" not in dep]


@pytest.mark.parametrize("name", STAGES)
def test_the_code_among_the_deps_is_what_the_stage_imports(name):
    assert code(name) == code_deps(entry(name)), "run `make deps`"


def test_an_edit_reruns_the_stages_that_run_the_file_and_no_others(capsys):
    table = reruns({name: code(name) for name in STAGES}, FILES)
    runs = {name: closure(entry(name)) for name in STAGES}
    wrong = []
    for file, stages in table.items():
        # A docstring of a package is no code; a template belongs to the code that reads it.
        if file.name != "__init__.py":
            wrong += [
                f"{file.relative_to(ROOT)}: {stages}" for _ in [0] if stages != [n for n in STAGES if file in runs[n]]
            ]
    assert not wrong
    total = sum(COPIES.get(stage, 1) for stages in table.values() for stage in stages)
    with capsys.disabled():
        print(f"\n{total} reruns of stages over {len(FILES)} files in stages/, an edit to each at a time")


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if str(file.relative_to(ROOT / "stages")).startswith(TELLING)],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_an_edit_that_draws_prints_or_scores_reruns_nothing_that_costs_minutes(file):
    (stages,) = reruns({name: code(name) for name in STAGES}, [file]).values()
    assert not EXPENSIVE & set(stages)


def test_packages_run_nothing_of_their_own():
    # The folder of stages, apart from which there are packages, sets up what a signal does, and no result.
    for file in (ROOT / "stages").glob("*/__init__.py"):
        body = ast.parse(file.read_text()).body
        assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body), file


@pytest.mark.parametrize("name", ["label", "generate"])
def test_the_chosen_backend_is_a_dep_and_brings_no_more_along(name):
    (named,) = (dep for dep in STAGES[name]["deps"] if "_backend.py" in dep)
    assert named == f"stages/llm/${{{name}.backend}}_backend.py"
    runs = {path for dep in code(name) for path in [ROOT / dep, *(ROOT / dep).rglob("*.py")]}
    for backend in (ROOT / "stages/llm").glob("*_backend.py"):
        assert closure(backend) - {backend} <= runs, backend


def listed(name: str) -> set[str]:
    """The sections of params.yaml that dvc.yaml lists for a stage."""
    return {key.split(".")[0] for key in STAGES[name].get("params", [])}


def read(name: str) -> set[str]:
    """The sections of params.yaml that the stage loads: the fields of what it calls `Params`."""
    module = importlib.import_module(f"stages.{entry(name).stem}")
    return {field.name for field in fields(module.Params)} if hasattr(module, "Params") else set()


@pytest.mark.parametrize("name", STAGES)
def test_params_are_those_that_the_stage_loads(name):
    assert listed(name) == read(name)
    assert listed(name) <= set(PARAMS)


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does(name):
    assert len(STAGES[name]["desc"]) > 20


def test_no_shell_stands_between_dvc_and_a_stage():
    # Some shells start a command as a child and wait; a signal to DVC, or its death, would then never reach the stage.
    assert all(stage["cmd"].startswith("exec ") for stage in definitions().values())


def test_there_is_one_list_of_students():
    stages = PIPELINE["stages"]
    assert PIPELINE["vars"] == ["stages/common/provenances.py"]
    assert stages["train"]["foreach"] == "${PROVENANCES}"
    assert "data/students" in stages["answer"]["deps"]
    assert {f"${{generate.{step}.template}}" for step in SYNTHETIC_STEPS} <= set(stages["generate"]["deps"])
    assert PROVENANCES[-1] == FINAL
    # No name of a student stands anywhere but in that list; `real` is the one that the others are held against.
    rest = (ROOT / "dvc.yaml").read_text().split("\n  draw:", 1)[1]
    assert not re.search(rf"(data|metrics)/\S*\b({'|'.join(PROVENANCES[1:])})\b", rest)


def test_answers_rerun_what_learns_from_them_and_no_language_model():
    with Repo(str(ROOT), config={"core": {"no_scm": True}}) as repo:
        graph = repo.index.graph
        read = [stage for stage in graph if PARAMS["human"]["answers"] in [dep.def_path for dep in stage.deps]]
        # An edge leads from a stage to one that it needs.
        rerun = {stage.name.partition("@")[0] for first in read for stage in {first, *nx.ancestors(graph, first)}}
    assert {stage.name for stage in read} == {"correct"}
    assert rerun == {
        "correct", "dataset", "measure", "distil", "train", "doubt", "answer", "evaluate", "baselines", "export",
        "index", "benchmark", "summary", "report", "package",
    }  # fmt: skip


def test_metrics_are_the_ten_figures_and_everything_else_a_plot_or_an_output():
    stages = STAGES.values()
    assert [metric for stage in stages for metric in stage.get("metrics", [])] == [
        {"metrics/summary.json": {"cache": False}}
    ]
    # An output without cache that is neither switches DVC's run cache off for its stage.
    assert not [
        out for stage in stages for out in stage.get("outs", []) if isinstance(out, dict) and "cache" in str(out)
    ]


def test_every_picture_is_a_plot():
    points = pd.DataFrame(columns=["x", "y", "label", "provenance"])
    pictures = {f"metrics/pictures/{picture.name}.png" for picture in choose_pictures(points, SYNTHETIC_STEPS, [])}
    assert len(pictures) == 7
    assert pictures == {plot for plot in PIPELINE["plots"] if isinstance(plot, str)}


def test_every_wheel_list_in_use_is_a_dep_of_its_own_model_alone():
    assert "${item.wheels}" in STAGES["models"]["deps"]
    assert all((ROOT / model.get("wheels", "")).is_file() for model in PARAMS["models"].values())
    assert Path(PARAMS["models"]["teacher"]["wheels"]).name == f"{PARAMS['models']['teacher']['name']}.yaml"
