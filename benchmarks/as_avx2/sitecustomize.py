"""Runs any Python as if this processor had AVX2 and nothing later, where its CPUID cannot be made to fault.

    PYTHONPATH=$PWD/benchmarks/as_avx2 make repro

Python imports a module of this name before all others. It sets the switches that oneDNN, MKL, OpenBLAS, NumPy and
torch have for this, and has torch deny later instructions, by which vLLM chooses its kernels. ONNX Runtime has no such
switch: a copy of it is loaded whose CPUID instructions are replaced by what cpuid.c answers (needs gcc and objdump;
the copy stays in the folder for temporary files). Clock, caches and cores stay what they are: it shows what missing
instructions cost, not how fast another machine is.
"""

import ctypes
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

os.environ |= {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
}
LATER = ("_is_avx512", "_is_amx", "_is_vnni")
RUNTIME = "onnxruntime.capi.onnxruntime_pybind11_state"
CPUID, UD2 = b"\x0f\xa2", b"\x0f\x0b"


class Hiding:
    """Finds torch.cpu and ONNX Runtime as Python would, and hides from each what is later than AVX2."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        """Find `name` on `path`, if it is one of the two."""
        if name not in ("torch.cpu", RUNTIME):
            return None
        spec = PathFinder.find_spec(name, path)
        if name == "torch.cpu":
            deny(spec)
            return spec
        return importlib.util.spec_from_file_location(name, replaced(Path(spec.origin)))


def deny(spec: ModuleSpec) -> None:
    """Have torch say no to all that is later."""
    load = spec.loader.exec_module

    def exec_module(module: object) -> None:
        load(module)
        for question in filter(lambda known: known.startswith(LATER), dir(module)):
            setattr(module, question, lambda: False)

    spec.loader.exec_module = exec_module


def replaced(library: Path) -> Path:
    """A copy of `library` with other instructions in the place of CPUID, which this process answers from now on."""
    folder = Path(tempfile.gettempdir(), f"as_avx2-{os.getuid()}-{library.stat().st_size}")
    copy, answers = folder / library.name, folder / "cpuid.so"
    folder.mkdir(exist_ok=True)
    # Of processes that come here at once, the last one's stays, and is the same.
    for beside in library.parent.glob("lib*.so"):
        _in_place(folder / beside.name, lambda link, beside=beside: link.symlink_to(beside))
    if not copy.exists():
        _in_place(answers, lambda file: _compile(Path(__file__).with_name("cpuid.c"), file))
        _in_place(copy, lambda file: file.write_bytes(_without_cpuid(library)))
    ctypes.CDLL(str(answers))
    return copy


def _in_place(target: Path, write) -> None:
    partial = target.with_suffix(f".{os.getpid()}")
    write(partial)
    partial.replace(target)


def _compile(source: Path, target: Path) -> None:
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-DREPLACED", "-o", target, source], check=True)


def _without_cpuid(library: Path) -> bytes:
    """The bytes of an ELF library whose code stands in the file at its addresses, as linkers leave it."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", "--section=.text", str(library)]
    code = bytearray(library.read_bytes())
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listing:
        for line in listing.stdout:
            if found := re.fullmatch(r"\s*([0-9a-f]+):\s+cpuid\s*", line):
                at = int(found[1], 16)
                assert code[at : at + 2] == CPUID, f"{library}: no CPUID at {at:#x}"
                code[at : at + 2] = UD2
    return bytes(code)


sys.meta_path.insert(0, Hiding())
