"""What the front door passes on to the processes behind it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_stages_keep_what_python_compiles_where_a_container_forbids_it() -> None:
    code = "import sys; print(sys.dont_write_bytecode)"
    probe = f"probe: ; @{sys.executable} -c '{code}'"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    direct = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert direct.stdout.strip() == "True"
    command = ["make", "--silent", f"--eval={probe}", "probe"]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"
