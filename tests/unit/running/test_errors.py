import errno
import os
from pathlib import Path

import pytest

from stages.running.errors import run_stage


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "labels.parquet"))

    with pytest.raises(SystemExit, match=r"No space left on device \(.*labels\.parquet\): make room"):
        run_stage(write)


def test_a_fault_of_the_code_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_stage(lambda: Path("no such file").read_text() and None)
