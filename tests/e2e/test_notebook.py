"""The notebook for Colab: whole, as it stands, with tiny models on the CPU; and, faster, that what it names exists."""

from __future__ import annotations

import ast
import re
import shlex
import signal
import sqlite3
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from stages.composition.compose import compose
from tests.conftest import ROOT
from tests.e2e.test_chain import copy_of_checkout

NOTEBOOK = ROOT / "notebooks/colab.ipynb"
# A review of each of some categories, twice as many as a smoke run takes.
REVIEWS = [
    f"{thing} номер {number} как на фото" for number in range(10) for thing in ("туфли", "чашка", "кофта", "чек")
]


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def sources(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def parameters(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    return cell


def test_it_is_valid_and_without_results(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


def test_every_cell_compiles_and_what_it_runs_exists(notebook):
    for source in sources(notebook):
        ast.parse(source)
    text = "\n".join(sources(notebook))
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert {"setup-gpu", "params", "doctor", "smoke", "repro"} <= targets
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    modules = re.findall(r"-m (stages\.\w+)", text)
    assert modules
    assert all((ROOT / f"{module.replace('.', '/')}.py").is_file() for module in modules)


def test_its_settings_are_those_of_a_card_of_16_gb(notebook, tmp_path):
    given: dict[str, str] = {}
    exec(parameters(notebook).source, given)
    params = compose(tmp_path / "params.yaml", given["SETTINGS"].split(), ROOT / "conf")
    assert (params.vllm.device, params.vllm.dtype, params.models["teacher"].name) == (
        "cuda", "float16", "qwen3-14b-awq",
    )  # fmt: skip
    comments = re.findall(r'" (data=own [^"]+)"', parameters(notebook).source)
    assert compose(tmp_path / "own.yaml", comments[0].split(), ROOT / "conf").data.name == "own"


def test_its_stop_button_reaches_what_runs_and_a_failure_stops_it(notebook):
    (source,) = [cell.source for cell in notebook.cells if cell.id == "run"]
    waiting = "trap 'echo kept; exit 130' INT; echo begun; while true; do sleep 0.1; done"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{source}\nrun(sys.argv[1])", waiting], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    # As Jupyter does it: to this process alone, which has its own session.
    process.send_signal(signal.SIGINT)
    printed, told = process.communicate(timeout=60)
    assert printed.strip() == "kept"
    assert told.endswith("KeyboardInterrupt\n")
    failed = subprocess.run(
        [sys.executable, "-c", f"{source}\nrun('echo why; exit 3')"], capture_output=True, text=True, check=False
    )
    assert failed.stdout == "why\n"
    assert failed.stderr.endswith("RuntimeError: 'echo why; exit 3' failed with code 3; its last lines say why\n")


@pytest.mark.slow
@pytest.mark.e2e
def test_it_goes_all_the_way(notebook, labels, tmp_path):
    repository = copy_of_checkout(tmp_path / "repository")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", *author, "commit", "-q", "-m", "x"], cwd=repository, check=True)
    (tmp_path / "reviews.csv").write_text("\n".join(["text", *REVIEWS]), encoding="utf-8")
    # The environment of these tests in the place of one that is made for the GPU, and models of a moment.
    setup = f"mkdir -p .venv && ln -sf {shlex.quote(sys.prefix)}/* .venv && touch .venv/.ready"
    given = {
        "REPOSITORY": str(repository),
        "SETTINGS": f"experiment=tiny data=own data.path={tmp_path}/reviews.csv",
        "DRIVE": str(tmp_path / "drive"),
        "SETUP": f"{setup} && .venv/bin/python -m tests.tiny_models data/tiny",
    }
    chosen = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    notebook.cells.insert(notebook.cells.index(parameters(notebook)) + 1, nbformat.v4.new_code_cell(chosen))
    done = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = {cell.id: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    printed = {name: "".join(output.get("text", "") for output in outputs) for name, outputs in shown.items()}
    assert "can run here" in printed["set-up"]
    assert "Every stage ran" in printed["smoke"]
    assert "It learnt from a handful" in printed["smoke"]
    assert "all stages" in printed["real"]
    assert '"macro_f1"' in printed["report"] or '"agreement"' in printed["report"]
    kinds = [kind for output in shown["report"] for kind in output.get("data", {})]
    assert {"image/png", "text/html"} <= set(kinds)
    assert any(
        "<iframe srcdoc=" in output["data"].get("text/html", "") for output in shown["report"] if "data" in output
    )
    category, _ = printed["student"].splitlines()[0].split("\t")
    assert category in labels
    checkout = tmp_path / "razmetka"
    assert (checkout / "student.zip").stat().st_size > 10_000
    with sqlite3.connect(tmp_path / "drive/responses.sqlite") as kept:
        ((answers,),) = kept.execute("SELECT COUNT(*) FROM responses")
    assert answers >= len(REVIEWS)
