"""What this machine has, which profiles it can run, and what params.yaml needs of it: `python -m stages.doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.common.cache import cache_folder
from stages.common.errors import DataError, run_stage
from stages.common.peak import engine_dtype, matmul_rate
from stages.common.record import duration
from stages.composition.compose import CONF, compose
from stages.composition.params import Params, load_all
from stages.hardware.machine import Machine, hub_answers, look
from stages.hardware.requirements import shortfall
from stages.hardware.sizing import Processor, cpu, cpu_run, disk_gb, download_gb, processor, student, teacher
from stages.reading.table import table_chunks


def main() -> None:
    """Print the report; exit 1 if params.yaml cannot run here."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    machine = look(cache)
    params = load_all()
    profiles = composed_profiles()
    for line in describe(machine, hub_answers()):
        print(line)
    print("\nprofiles")
    for name, profile in profiles.items():
        missing = shortfall(profile.vllm, machine.cards, machine.unusable_cards)
        print(f"  {name:<9} {missing or 'can run here'}")
    print(f"\nparams.yaml ({profile_name(params, profiles)})")
    for line in needs(params, machine):
        print(f"  {line}")
    faults = obstacles(params, machine)
    print("  verdict   " + ("; ".join(faults) if faults else "can run here"))
    if faults:
        sys.exit(1)


def composed_profiles() -> dict[str, Params]:
    """Every option of conf/profile, composed."""
    names = sorted(path.stem for path in (CONF / "profile").glob("*.yaml"))
    with TemporaryDirectory() as folder:
        return {name: compose(Path(folder) / "params.yaml", [f"profile={name}"]) for name in names}


def profile_name(params: Params, profiles: dict[str, Params]) -> str:
    """Which profile's models and engine `params` has."""
    same = [name for name, p in profiles.items() if p.models == params.models and p.vllm == params.vllm]
    return f"profile={same[0]}" if same else "settings of its own"


def describe(machine: Machine, hub: bool) -> list[str]:
    """The machine in a few lines."""
    cards = [f"{c.name}, {c.gib:.1f} GiB, compute capability {c.capability}" for c in machine.cards]
    unusable = [f"{name} (not usable by this environment's torch)" for name in machine.unusable_cards]
    return [
        f"processor   {machine.cpu}, {machine.cores} cores, {' '.join(machine.cpu_flags) or 'no AVX2'}",
        f"memory      {machine.ram_gib:.0f} GiB, free disk {machine.free_disk_gb:.0f} GB",
        f"graphics    {'; '.join([*cards, *unusable]) or 'no NVIDIA card'}",
        f"model hub   {'answers' if hub else 'does not answer'}",
    ]


def needs(params: Params, machine: Machine) -> list[str]:
    """Download, disk, graphics memory, and rough times per 1,000 reviews."""
    engine = params.vllm
    memory = f"{engine.tensor_parallel_size} x {engine.min_gpu_gib:g} GiB" if engine.device == "cuda" else "none"
    roles = ", ".join(f"{role} {model.name}" for role, model in params.models.items())
    lines = [
        f"models    {roles}",
        f"download  {download_gb(params):.1f} GB, on disk up to {disk_gb(params):.1f} GB",
        f"graphics  {memory}",
    ]
    if engine.device == "cpu":
        card: Processor | None = cpu(engine_dtype(engine.dtype))
        lines += whole_run(params)
    else:
        card = processor(machine.cards[0].name if machine.cards else "")
    asked, trained = (teacher(params, card), student(params, card)) if card else (None, None)
    if not asked or not trained:
        return [*lines, "times     unknown for this card or these models; docs/gpu.md has a table"]
    label, explain = asked.label() / 0.06, asked.explain() / 0.06
    epoch = trained.epoch(1000, params.train.batch_size, recompute=params.train.gradient_checkpointing) / 60
    return [
        *lines,
        f"times     for 1,000 reviews, roughly: labelling {label:.1f} min, explaining all {explain:.1f} min more, "
        f"training a student {params.train.epochs} epochs of {epoch:.1f} min and a linear probe of {epoch / 3:.1f} min",
    ]


def whole_run(params: Params) -> list[str]:
    """How long `make repro` would take for the reviews that params.yaml names."""
    data = params.data
    checked = [Path(data.gold.folder) / name for name in data.gold.sets.values() if name]
    files = [(Path(data.path), data.text_column), *((path, "text") for path in checked)]
    try:
        rows = [sum(map(len, table_chunks(path, column))) for path, column in files]
    except DataError as error:
        return [f"whole run unknown: {error}"]
    reviews = min(rows[0], data.limit or rows[0]) + sum(rows[1:])
    seconds = cpu_run(params, reviews)
    if seconds is None:
        return []
    dtype = engine_dtype(params.vllm.dtype)
    return [
        f"whole run about {duration(seconds, rough=True)} without downloads for {reviews:,} reviews, by the "
        f"{matmul_rate(dtype) / 1e9:,.0f} GFLOP/s in {dtype} that this processor was just measured at"
    ]


def obstacles(params: Params, machine: Machine) -> list[str]:
    """Why params.yaml cannot run on this machine."""
    missing = shortfall(params.vllm, machine.cards, machine.unusable_cards)
    faults = [missing] if missing else []
    if machine.free_disk_gb < disk_gb(params):
        faults.append(
            f"it may take {disk_gb(params):.0f} GB of disk, {machine.free_disk_gb:.0f} are free (RAZMETKA_CACHE and "
            "HF_HOME move the downloads)"
        )
    return faults


if __name__ == "__main__":
    run_stage(main)
