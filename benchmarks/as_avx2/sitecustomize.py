"""Runs any Python as if this processor had AVX2 and nothing later, where its CPUID cannot be made to fault.

    PYTHONPATH=$PWD/benchmarks/as_avx2 make repro

Python imports a module of this name before all others. It sets the switches that oneDNN, MKL, OpenBLAS, NumPy and
torch have for this, and has torch deny later instructions, by which vLLM chooses its kernels. ONNX Runtime has no such
switch and computes with whatever there is. Clock, caches and cores stay what they are: it shows what missing
instructions cost, not how fast another machine is.
"""

import importlib.machinery
import os
import sys

os.environ |= {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
}
LATER = ("_is_avx512", "_is_amx", "_is_vnni")


class Denying:
    """Finds torch.cpu as Python would, once, and has it say no to all that is later than AVX2."""

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Find `name` on `path`, if it is torch.cpu."""
        if name != "torch.cpu":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def exec_module(module: object) -> None:
            load(module)
            for question in filter(lambda known: known.startswith(LATER), dir(module)):
                setattr(module, question, lambda: False)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Denying())
