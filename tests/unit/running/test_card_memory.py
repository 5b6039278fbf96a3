"""A card without room is one sentence, which names the settings that make some."""

from __future__ import annotations

import pytest
import torch

from stages.running.errors import ConfigError, card_memory, run_stage

# As torch and the libraries below it say it.
TORCH = (
    "CUDA out of memory. Tried to allocate 978.00 MiB. GPU 0 has a total capacity of 14.56 GiB of which 401.81 MiB is "
    "free. Process 1 has 14.16 GiB memory in use.\nSee documentation for Memory Management"
)
SHORTAGES = [
    torch.OutOfMemoryError(TORCH),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
]


@pytest.mark.parametrize("shortage", SHORTAGES, ids=["torch", "CUDA", "cuBLAS", "Triton"])
def test_a_shortage_ends_with_what_helps_on_one_line(shortage: Exception) -> None:
    message = r"^the graphics card's memory does not suffice \(\S.*\): lower x$"
    with pytest.raises(ConfigError, match=message) as told, card_memory("lower x"):
        raise shortage
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is shortage


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), MemoryError(), KeyError("out of memory")], ids=repr)
def test_another_failure_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, card_memory("lower x"):
        raise error
    assert raised.value is error


def test_a_command_that_runs_into_it_ends_in_one_line() -> None:
    def main() -> None:
        raise SHORTAGES[0]

    with pytest.raises(
        SystemExit, match=r"^ConfigError: the graphics card's memory .*: end what else runs on the card"
    ):
        run_stage(main)
