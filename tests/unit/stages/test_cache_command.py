"""The cache folder shown, pruned and checked by the command."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import stages.cache
from stages.common.cache import cache_folder
from stages.common.vectors import VectorStore
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.scratch import scratch_folder

DAY = 86400


@pytest.fixture
def filled(monkeypatch) -> ResponseCache:
    """Three answers of which one is old, a vector, a graph, a checkpoint, and what a killed run left."""
    monkeypatch.setattr(sys, "argv", ["cache"])
    model = CachedModel(ScriptedBackend(Path(), None))
    model.choose(["да", "нет", "может быть"], ["да", "нет"], "x")
    cache = model.cache
    cache.database.execute("UPDATE uses SET used = used - ? WHERE rowid = 1", [40 * DAY])
    VectorStore().of("here", ["a"], lambda texts: iter([np.ones((len(texts), 2), dtype=np.float32)]), "x")
    for name in (
        "graphs/old.onnx", "graphs/new.onnx", "checkpoints/old/state.json", "wheels/.download-abcdefgh/part",
        "gguf-12345678/model.gguf", "graphs/.new-x_345678.onnx", "responses.damaged-20200101.sqlite", "my-projects/x",
    ):  # fmt: skip
        path = cache_folder() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        if "old" in name or "damaged" in name:
            for aged in (path, path.parent) if "checkpoints" in name else (path,):
                os.utime(aged, (time.time() - 40 * DAY,) * 2)
    cache.database.execute("INSERT INTO claims VALUES ('a', 'here/1/boot/7/7', 0)")
    return cache


def run(*arguments: str) -> int:
    sys.argv[1:] = arguments
    with pytest.raises(SystemExit) as ended:
        stages.cache.main()
    return ended.value.code


def there() -> set[str]:
    folder = cache_folder()
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name}


def test_it_shows_what_lies_there_and_touches_nothing(filled, capsys):
    before = there()
    assert run() == 0
    told = capsys.readouterr().out
    assert "3        0.0 MB  answers of scripted: scripted" in told
    assert "1        0.0 MB  vectors of texts" in told
    assert "2        0.0 MB  graphs/: encoders as graphs for ONNX Runtime       last used" in told
    assert "3        0.0 MB  left behind by killed runs" in told
    assert "never removed: my-projects" in told
    assert there() == before


def test_pruning_removes_what_killed_runs_left(filled, capsys):
    assert run("--prune") == 0
    assert there() == {"graphs/old.onnx", "graphs/new.onnx", "checkpoints/old/state.json", "my-projects/x"}
    assert len(filled) == 3
    assert filled.database.execute("SELECT * FROM claims") == []
    assert "0        0.0 MB  left behind by killed runs" in capsys.readouterr().out


def test_pruning_by_age_removes_what_nobody_used(filled, capsys):
    assert run("--prune", "--older-than", "30") == 0
    assert not capsys.readouterr().out.startswith("-")
    assert there() == {"graphs/new.onnx", "my-projects/x"}
    assert len(filled) == 2
    assert not list(cache_folder().glob("*damaged*"))
    again = CachedModel(ScriptedBackend(Path(), None))
    again.choose(["да", "нет", "может быть"], ["да", "нет"], "x")
    assert again.asked == 1


def test_an_old_answer_that_is_of_use_today_stays(filled):
    CachedModel(ScriptedBackend(Path(), None)).choose(["да", "нет", "может быть"], ["да", "нет"], "x")
    run("--prune", "--older-than", "30")
    assert len(filled) == 3


def test_scratch_that_is_in_use_stays(filled):
    with scratch_folder(cache_folder(), "gguf-") as folder:
        run("--prune", "--older-than", "0")
        assert folder.is_dir()


def test_the_check_finds_damage_and_unsound_answers(filled, capsys):
    assert run("--check") == 0
    filled.database.execute("UPDATE responses SET answer = '{' WHERE rowid = 2")
    VectorStore().database.execute("UPDATE vectors SET vector = ?", [np.full(2, np.nan, np.float32).tobytes()])
    assert run("--check") == 1
    told = capsys.readouterr().out
    assert "1 answers are unsound, the first one: " in told
    assert "1 vectors have numbers that are not finite" in told


def test_an_age_needs_pruning(filled, capsys):
    assert run("--older-than", "3") == 2
    assert "--prune" in capsys.readouterr().err
