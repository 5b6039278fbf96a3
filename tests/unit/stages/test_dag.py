"""DVC does not follow imports: whatever code a stage runs must stand among its deps."""

import ast
from pathlib import Path

import pandas as pd
import pytest
import yaml

from stages.analysis.pictures import choose_pictures
from stages.common.schema import FINAL, PROVENANCES, SYNTHETIC_STEPS
from tests.conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
DAG = PIPELINE["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in DAG.items()}


def module_file(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in candidates if file.is_file()), None)


def imported(file: Path) -> set[Path]:
    """Files of this project that `file` imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {path for name in names if name.startswith("stages") and (path := module_file(name))}
    return found - {ROOT / "stages/__init__.py"}


def reached(file: Path) -> set[Path]:
    seen, open_files = set(), {file}
    while open_files:
        seen |= open_files
        open_files = {found for path in open_files for found in imported(path)} - seen
    return seen


@pytest.mark.parametrize("name", STAGES)
def test_imports_are_deps(name):
    stage = STAGES[name]
    module = stage["cmd"].split()[2]
    deps = [ROOT / dep for dep in stage["deps"] if "$" not in dep]
    missing = [
        str(path.relative_to(ROOT))
        for path in reached(module_file(module))
        if not any(path == dep or dep in path.parents for dep in deps)
    ]
    assert not missing, f"stage {name} runs {missing} but does not list it in deps"


@pytest.mark.parametrize("name", STAGES)
def test_code_deps_exist_and_are_used(name):
    stage = STAGES[name]
    used = reached(module_file(stage["cmd"].split()[2]))
    for dep in stage["deps"]:
        if dep.startswith("stages/"):
            path = ROOT / dep
            assert path.exists(), f"{name} depends on {dep}, which is not there"
            assert any(file == path or path in file.parents for file in used), f"{name} lists {dep} but never runs it"


def sections(file: Path) -> set[str]:
    """Sections of params.yaml that the functions of `file` read off a variable called `params`."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "params"
    }


@pytest.mark.parametrize("name", STAGES)
def test_params_exist_and_hold_what_the_stage_reads(name):
    stage = STAGES[name]
    listed = [key.split(".")[0] for key in stage.get("params", [])]
    assert set(listed) <= set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    missing = sections(module_file(stage["cmd"].split()[2])) - set(listed)
    assert not missing, f"stage {name} reads {sorted(missing)}; a change there would not rerun it: add it to params"


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does(name):
    assert len(STAGES[name]["desc"]) > 20


def test_steps_and_students_are_those_of_the_schema():
    assert tuple(DAG["generate"]["foreach"]) == SYNTHETIC_STEPS
    assert tuple(DAG["train"]["foreach"]) == PROVENANCES
    assert {f"data/students/{student}" for student in PROVENANCES} <= set(DAG["evaluate"]["deps"])
    assert {f"metrics/generate_{step}.json" for step in SYNTHETIC_STEPS} <= set(DAG["report"]["deps"])
    assert f"data/students/{FINAL}" in DAG["benchmark"]["deps"]
    assert PIPELINE["artifacts"]["student"]["path"] == f"data/students/{FINAL}"
    for stage in ("draw", "dataset"):
        assert f"data/synthetic/{FINAL}" in DAG[stage]["deps"]


def test_every_picture_is_a_plot():
    points = pd.DataFrame(columns=["x", "y", "label", "provenance"])
    pictures = {f"metrics/pictures/{picture.name}.png" for picture in choose_pictures(points, SYNTHETIC_STEPS, [])}
    assert len(pictures) == 7
    assert pictures == {plot for plot in PIPELINE["plots"] if isinstance(plot, str)}
