"""Where things are kept, and what is said where nothing can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.common.cache import cache_folder
from stages.running.errors import ConfigError
from tests.conftest import ROOT


def test_a_tilde_is_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAZMETKA_CACHE", "~/kept")
    assert cache_folder() == tmp_path / "kept"
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("named", ["file", "file/below", "/proc/nobody/may", "/dev/null", "~nobody-of-that-name/x"])
def test_a_folder_that_cannot_be_is_said_in_one_line(named, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAZMETKA_CACHE", named)
    with pytest.raises(ConfigError, match=rf"^RAZMETKA_CACHE={named} is of no use: [^\n]+ by RAZMETKA_CACHE$"):
        cache_folder()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    tmp_path.chmod(0o555)
    monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match="nobody may write into"):
        cache_folder()


def test_a_stage_says_so_before_any_weights_are_loaded(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "data/models/teacher").mkdir(parents=True)
    (tmp_path / "data/models/teacher/config.json").write_text("{}")
    environment = os.environ | {"RAZMETKA_CACHE": str(tmp_path / "file"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.label"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ConfigError: RAZMETKA_CACHE={tmp_path}/file is of no use")
    assert len(done.stderr.splitlines()) == 1


def test_the_users_own_folder_needs_no_name(tmp_path, monkeypatch):
    monkeypatch.delenv("RAZMETKA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == Path(tmp_path / "razmetka")
