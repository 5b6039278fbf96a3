"""What Triton compiles with at the first use of a graphics card: a C compiler and Python's headers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig


def missing_compiler() -> str:
    """Why no C file that includes Python.h can be compiled here, and what brings it; empty if one can.

    The compiler and the folder of the headers are those that Triton takes (`triton/runtime/build.py`).
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return _lacking("there is no C compiler (gcc, clang or the one that CC names)")
    command = [compiler, "-fsyntax-only", f"-I{headers()}", "-x", "c", "-"]
    try:
        tried = subprocess.run(command, input="#include <Python.h>\n", capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return _lacking(f"the C compiler {compiler} does not run ({error})")
    if tried.returncode == 0:
        return ""
    reason = next((line for line in tried.stderr.splitlines() if "error" in line), f"status {tried.returncode}")
    return _lacking(f"{compiler} cannot compile what includes Python.h of {headers()} ({reason.strip()})")


def headers() -> str:
    """The folder in which Python.h should lie."""
    scheme = sysconfig.get_default_scheme()
    # Debian's own scheme is for what is installed beside its packages; the headers are in none but theirs.
    return sysconfig.get_path("include", "posix_prefix" if scheme == "posix_local" else scheme)


def _lacking(what: str) -> str:
    packages = f"gcc libc6-dev python3.{sys.version_info.minor}-dev"
    return f"vLLM compiles at first use of a card, and {what}; on Debian, Ubuntu and Colab `apt-get install {packages}`"
