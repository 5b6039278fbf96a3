"""A C file that includes Python.h is compiled for real, with whatever this machine has or lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages.hardware import compiler
from stages.hardware.compiler import missing_compiler

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")


@needs_gcc
def test_nothing_is_missing_where_a_file_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(compiler, "headers", lambda: str(tmp_path))
    assert missing_compiler() == ""


@needs_gcc
def test_missing_headers_are_named_with_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "headers", lambda: str(tmp_path))
    says = missing_compiler()
    assert f"cannot compile what includes Python.h of {tmp_path}" in says
    assert "Python.h: No such file" in says
    assert "apt-get install gcc libc6-dev python3." in says
    assert "\n" not in says


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert "there is no C compiler (gcc, clang or the one that CC names)" in missing_compiler()
    monkeypatch.setenv("CC", "icc-of-yore")
    assert "the C compiler icc-of-yore does not run" in missing_compiler()


def test_the_headers_are_those_of_this_python() -> None:
    assert Path(compiler.headers()).name.startswith("python3.")
