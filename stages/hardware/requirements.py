"""Compare what a configuration needs with what a machine has."""

from __future__ import annotations

from collections.abc import Sequence

from stages.common.driver import installed_driver, why_torch_sees_none
from stages.hardware.compiler import missing_compiler
from stages.hardware.machine import Card, usable_cards
from stages.llm.config import Vllm
from stages.running.errors import ConfigError


def shortfall(engine: Vllm, cards: Sequence[Card], no_card: str = "") -> str:
    """What is missing for `engine`, in words; empty if nothing is.

    `no_card` says why torch sees none of those that the driver shows.
    """
    if engine.device == "cpu":
        return ""
    wanted = f"{engine.tensor_parallel_size} of at least {engine.min_gpu_gib:g} GiB"
    if not cards and no_card:
        return no_card
    if len(cards) < engine.tensor_parallel_size:
        return f"it needs NVIDIA graphics cards ({wanted}), and this machine has {len(cards) or 'none'}"
    # vLLM takes the first so many.
    for card in cards[: engine.tensor_parallel_size]:
        if card.gib < engine.min_gpu_gib:
            return f"it needs graphics cards ({wanted}), and {card.name} has {card.gib:.1f} GiB"
        if card.capability < engine.min_compute_capability:
            needed = f"compute capability {engine.min_compute_capability}"
            return f"it needs {needed}, and {card.name} has {card.capability}"
    return ""


def require_hardware(engine: Vllm) -> None:
    """Stop before anything is fetched for hardware that is not there, or that nothing can be compiled for.

    Raises:
        ConfigError: the graphics cards that the `vllm` settings are meant for are missing or too small, or a
            compiler is.
    """
    if engine.device == "cpu":
        return
    cards, driver = usable_cards(), installed_driver()
    no_card = why_torch_sees_none(driver) if driver and not cards else ""
    missing = shortfall(engine, cards, no_card) or missing_compiler()
    if missing:
        raise ConfigError(
            f"vllm.device={engine.device}: {missing}. Nothing was fetched. `make doctor` names the profiles that this "
            'machine can run; compose one with `make params SET="profile=…"`'
        )
