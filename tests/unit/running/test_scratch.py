"""What kill -9 leaves of scratch is removed by the next one, and never from under a process that lives."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from stages.running.io import atomic_path, write_json
from stages.running.scratch import abandoned, scratch_file, scratch_folder

SCRIPT = """
import sys, time
from pathlib import Path
from stages.running.io import atomic_path
from stages.running.scratch import scratch_folder

with atomic_path(Path(sys.argv[1]) / "a.json") as file, scratch_folder(Path(sys.argv[1]), "gguf-") as folder:
    file.write_text("half")
    (folder / "weights").write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_scratch_of_a_killed_process_goes_and_of_a_living_one_stays(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    assert len(names(tmp_path)) == 4
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    assert len(abandoned(tmp_path, "*")) + len(abandoned(tmp_path, ".*")) >= 2
    write_json(tmp_path / "a.json", {})
    with scratch_folder(tmp_path, "gguf-"):
        assert len(names(tmp_path)) == 4
    assert len(names(tmp_path)) == 3
    processes[1].send_signal(signal.SIGKILL)
    processes[1].wait()
    write_json(tmp_path / "a.json", {})
    with scratch_folder(tmp_path, "gguf-"):
        pass
    assert names(tmp_path) == ["a.json"]


def test_other_files_are_not_scratch(tmp_path):
    for name in (".a-note.json", ".a-12345678.csv", "a-12345678.json", ".ab-12345678.json", "gguf-models"):
        (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    write_json(tmp_path / "a.json", {})
    with scratch_folder(tmp_path, "zip-"):
        pass
    assert names(tmp_path) == sorted([*before, "a.json"])


def test_a_failure_leaves_nothing(tmp_path):
    for opened in (
        atomic_path(tmp_path / "a.json"),
        scratch_file(tmp_path, "b-", ".c"),
        scratch_folder(tmp_path, "d-"),
    ):
        try:
            with opened as path:
                (path / "x" if path.is_dir() else path).write_text("half")
                raise ValueError
        except ValueError:
            assert names(tmp_path) == []


def test_threads_that_start_at_once_do_not_take_each_others_scratch(tmp_path):
    lost: list[Path] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(40):
            with scratch_folder(tmp_path, ".download-") as folder, atomic_path(tmp_path / "same.json") as file:
                (folder / "part").write_text("x")
                file.write_text("whole")
                if not (folder / "part").exists():
                    lost.append(folder)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert names(tmp_path) == ["same.json"]
    assert os.stat(tmp_path / "same.json").st_size == 5
