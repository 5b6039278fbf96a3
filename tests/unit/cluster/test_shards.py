"""Files of questions and answers: what is found again, whatever wrote it and however it ended."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.cluster.replica import DEATHS, Replica
from stages.cluster.shards import Shard, Shards, divided, read_answers, read_shard
from stages.llm.backend import Sampling
from stages.llm.checks import read_completion
from stages.llm.questions import question_key, to_choose, to_complete
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import BackendError, DataError

IDENTITY = ScriptedBackend(Path(), None).identity
SAMPLINGS = [Sampling(5, temperature=0.7, stop=("\n",), seed=seed) for seed in range(6)]
KEYS = [question_key(IDENTITY, f"текст {index}", to_complete(drawn)) for index, drawn in enumerate(SAMPLINGS)]


def shard(keys=KEYS, bits="") -> Shard:
    chosen = [KEYS.index(key) for key in keys]
    questions = [to_complete(SAMPLINGS[index]) for index in chosen]
    return Shard(bits, list(keys), [f"текст {index}" for index in chosen], questions)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Where the scripted model writes down what it is asked."""
    log = tmp_path / "asked.log"
    log.touch()
    monkeypatch.setenv("RAZMETKA_SCRIPTED_LOG", str(log))
    return log


@pytest.fixture
def replica(tmp_path, params):
    with Shards(tmp_path, IDENTITY).alone():
        yield Replica("scripted", Path(), params.vllm, tmp_path, IDENTITY)


def test_questions_come_out_as_they_went_in(tmp_path):
    mixed = Shard("01", KEYS[:2], ["а\nб", ""], [to_choose(["x", "y"], Sampling(3)), to_complete(SAMPLINGS[1])])
    shards = Shards(tmp_path, IDENTITY)
    with shards.alone():
        path = shards.ask(mixed)
        assert read_shard(path) == mixed
        assert shards.ask(mixed) == path


@given(st.lists(st.integers(0, 2**32), unique=True, max_size=60), st.integers(1, 70))
def test_every_key_is_in_one_shard_and_begins_with_its_bits(numbers, about):
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
    parts = divided(keys, about)
    assert sorted(key for part in parts.values() for key in part) == sorted(keys)
    assert all(f"{int(key, 16):0256b}".startswith(bits) for bits, part in parts.items() for key in part)
    assert len({len(bits) for bits in parts}) <= 1
    assert len(keys) / 2 ** len(next(iter(parts), "")) <= about


def test_answers_of_another_division_are_found(tmp_path, replica, asked):
    for bits, keys in divided(KEYS, 1).items():
        replica.answer(shard(keys, bits))
    assert len(asked.read_text().splitlines()) == 6
    for about in (1, 3, 6):
        for bits, keys in divided(KEYS, about).items():
            path, refusals = replica.answer(shard(keys, bits))
            assert dict(read_answers(path)).keys() == set(keys)
            assert not refusals
    assert len(asked.read_text().splitlines()) == 6


def test_what_a_dead_replica_had_is_kept_but_no_half_line_and_nothing_unsound(tmp_path, replica, asked):
    shards = Shards(tmp_path, IDENTITY)
    whole, _ = replica.answer(shard())
    answers = dict(read_answers(whole))
    whole.unlink()
    dying = os.fork()
    if not dying:
        with shards.journal("") as keep:
            for key in KEYS[:3]:
                keep(key, answers[key])
            keep(KEYS[3], '{"text": "без вероятности", "mean_logprob": NaN}')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(dying, 0)
    [journal] = (shards.folder / "answers").glob("*.jsonl")
    with journal.open("ab") as file:
        file.write(f'["{KEYS[4]}", "{{'.encode())
    assert shards.known("", KEYS, read_completion).keys() == set(KEYS[:3])
    asked.write_text("")
    path, _ = replica.answer(shard())
    assert dict(read_answers(path)) == answers
    assert len(asked.read_text().splitlines()) == 3


def test_a_damaged_file_is_asked_for_again(tmp_path, replica, asked, caplog):
    path, _ = replica.answer(shard())
    answers = dict(read_answers(path))
    path.write_bytes(path.read_bytes()[:100])
    again, _ = replica.answer(shard())
    assert dict(read_answers(again)) == answers
    assert f"{path} cannot be read" in caplog.text


def test_a_journal_is_read_on_from_where_it_was(tmp_path):
    shards = Shards(tmp_path, IDENTITY)
    read: dict[Path, int] = {}
    with shards.alone(), shards.journal("0") as keep:
        keep("a", "1")
        assert list(shards.journalled(read)) == [("a", "1")]
        keep("b", "2")
        keep("c", "3")
        assert list(shards.journalled(read)) == [("b", "2"), ("c", "3")]
        assert list(shards.journalled(read)) == []


def test_a_shard_that_replicas_die_of_ends_the_run(tmp_path, replica):
    shards = Shards(tmp_path, IDENTITY)
    path = shards.ask(shard())
    for _ in range(DEATHS):
        assert shards.deaths(path) < DEATHS
        dying = os.fork()
        if not dying:
            with shards.journal(""):
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(dying, 0)
    assert f"{DEATHS} replicas died of the questions in {path}" in replica({"shard": [str(path)]})["failure"][0]


def test_a_failure_that_nobody_foresaw_is_told_with_its_node(replica, caplog):
    [failure] = replica({"shard": ["/none/b-0.parquet"]})["failure"]
    assert failure.startswith(f"a replica on {platform.node()} failed: FileNotFoundError: /none/b-0.parquet")


def test_a_replica_with_other_weights_answers_nobody(tmp_path, params):
    other = Replica("scripted", Path(), params.vllm, tmp_path, "other weights")
    with pytest.raises(BackendError, match="this process as 'other weights'"):
        other.answer(shard())


def test_a_second_run_waits_for_the_first(tmp_path):
    order = []

    def second():
        with Shards(tmp_path, IDENTITY).alone():
            order.append("second")

    with Shards(tmp_path, IDENTITY).alone():
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"name another execute\.folder"), Shards(tmp_path / "file", IDENTITY).alone():
        pass
