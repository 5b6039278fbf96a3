"""An exported student in an environment that holds ONNX Runtime and tokenizers alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from stages.exporting.folder import use, write_onnx
from stages.inference.classifier import Classifier
from stages.inference.onnx_classifier import FULL, QUANTIZED
from stages.reporting.page import card
from tests.conftest import ROOT
from tests.students import REVIEWS, encoders, label_names, loss_settings, train_settings  # noqa: F401
from tests.unit.exporting.conftest import make_student  # noqa: F401

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """Its interpreter; the packages as the lock has them, by their hashes, as docs/sharing.md says."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin/python"
    export = [Path(sys.executable).with_name("uv"), "export", "--quiet", "--frozen", "--only-group", "student"]
    (folder / "student.txt").write_bytes(subprocess.run(export, cwd=ROOT, capture_output=True, check=True).stdout)
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*install, "-r", folder / "student.txt"], check=True)
    return python


@pytest.mark.parametrize("file", [FULL, QUANTIZED])
def test_the_example_runs_without_torch(file, bare_python, make_student, tmp_path):  # noqa: F811
    source, folder = make_student("gemma3"), tmp_path / "student/onnx"
    folder.mkdir(parents=True)
    (folder.parent / "example.py").write_text(card("example.py.jinja", {}))
    student = Classifier(source)
    reviews = [review for some in REVIEWS.values() for review in some]
    right = student.predict_proba(reviews, 4)
    write_onnx(source, folder)
    use(folder, file)

    missing = subprocess.run([bare_python, "-c", "import torch"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in missing.stderr
    done = subprocess.run(
        [bare_python, folder.parent / "example.py", *reviews], capture_output=True, text=True, check=True
    )
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    assert [review for _, _, review in answers] == reviews
    near = 1e-3 if file == FULL else 0.1
    for (label, confidence, _), probabilities in zip(answers, right, strict=True):
        assert float(confidence) == pytest.approx(probabilities[student.labels.index(label)], abs=near)
