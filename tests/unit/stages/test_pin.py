"""Pinning writes the commit and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages import pin
from stages.weights import hub
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_shipped_models_are_pinned_and_licensed() -> None:
    for path in (ROOT / pin.CATALOGUE).glob("*.yaml"):
        lines = dict(
            line.split(": ", 1) for line in path.read_text().splitlines() if line[0].isalpha() and ": " in line
        )
        assert lines["license"], path
        # What a server has, nobody fetches.
        if lines["source"] == "server":
            continue
        assert lines["source"] == "pypi" or hub.is_commit(lines["revision"]), path
        assert float(lines["download_gb"]) > 0, path


def test_a_branch_becomes_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = tmp_path / pin.CATALOGUE
    catalogue.mkdir(parents=True)
    text = "# Why this one.\nname: tiny\nsource: hub\nrepo: tiny/bert\nrevision: {}\nlicense: MIT\n"
    (catalogue / "tiny.yaml").write_text(text.format("main"))
    (catalogue / "wheels.yaml").write_text("name: wheels\nsource: pypi\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        pin, "commit", lambda repo, revision: COMMIT if (repo, revision) == ("tiny/bert", "main") else ""
    )
    pin.main()
    assert (catalogue / "tiny.yaml").read_text() == text.format(COMMIT)
    assert (catalogue / "wheels.yaml").read_text() == "name: wheels\nsource: pypi\n"
