"""What this machine has, which profiles it can run, and what params.yaml needs of it: `python -m stages.doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.common.driver import OLDEST
from stages.composition.compose import CONF, compose
from stages.composition.params import Params, load_all
from stages.hardware.disk import Volume, checkpoints_gb, download_gb, folders, lacking, stored, volumes
from stages.hardware.machine import Machine, hub_answers, look
from stages.hardware.requirements import shortfall
from stages.hardware.sizing import PROCESSORS, beside_engine, cpu, cpu_run, recomputes, student, teacher
from stages.llm.connection import offered
from stages.reading.table import table_chunks
from stages.running.errors import BackendError, DataError, run_stage
from stages.running.peak import engine_dtype, matmul_rate
from stages.running.record import duration
from stages.vocabulary.vocabulary import read_vocabulary


def main() -> None:
    """Print the report; exit 1 if params.yaml cannot run here."""
    machine, disks = look(), volumes(folders())
    params = load_all()
    profiles = composed_profiles()
    for line in describe(machine, disks, hub_answers()):
        print(line)
    print("\nprofiles")
    for name, profile in profiles.items():
        # Why is said once, by the verdict.
        unseen = "torch sees no graphics card" if machine.no_card else ""
        missing = shortfall(profile.vllm, machine.cards, unseen)
        print(f"  {name:<9} {missing or 'can run here'}")
    print(f"\nparams.yaml ({profile_name(params, profiles)})")
    for line in needs(params, machine, disks):
        print(f"  {line}")
    answers, faults = asked_servers(params)
    for line in answers:
        print(f"  {line}")
    faults += obstacles(params, machine, disks)
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


def describe(machine: Machine, disks: list[Volume], hub: bool) -> list[str]:
    """The machine in a few lines."""
    cards = [f"{c.name}, {c.gib:.1f} GiB, compute capability {c.capability}" for c in machine.cards]
    if machine.driver:
        cards += [f"{card}, which torch does not see" for card in machine.driver.cards if machine.no_card]
        cards.append(f"driver {machine.driver.version} (CUDA 13 needs {OLDEST})")
    free = ", ".join(f"{disk.free_gb:.0f} GB at {disk.folder}" for disk in disks)
    return [
        f"processor   {machine.cpu}, {machine.cores} cores, {' '.join(machine.cpu_flags) or 'no AVX2'}",
        f"memory      {machine.ram_gib:.0f} GiB, free disk {free}",
        f"graphics    {'; '.join(cards) or 'no NVIDIA card'}",
        f"compiler    {machine.no_compiler or 'there, with the headers of Python'}",
        f"model hub   {'answers' if hub else 'does not answer'}",
    ]


def needs(params: Params, machine: Machine, disks: list[Volume]) -> list[str]:
    """Download, disk, graphics memory, and rough times per 1,000 reviews."""
    engine = params.vllm
    memory = f"{engine.tensor_parallel_size} x {engine.min_gpu_gib:g} GiB" if engine.device == "cuda" else "none"
    roles = ", ".join(f"{role} {model.name}" for role, model in params.models.items())
    parts = stored(params, linked=is_linked(disks))
    sums = ", ".join(f"{part.what} {part.gb:.1f}" for part in parts)
    written = f"; training writes {checkpoints_gb(params):.0f} GB in all" if checkpoints_gb(params) else ""
    lines = [
        f"models    {roles}",
        f"download  {download_gb(params):.1f} GB",
        f"disk      up to {sum(part.gb for part in parts):.1f} GB: {sums}{written}",
        f"graphics  {memory}",
    ]
    name = machine.cards[0].name if machine.cards else "a machine whose torch sees no card"
    if engine.device == "cpu":
        lines += whole_run(params)
    elif name not in PROCESSORS:
        return [*lines, f"times     no estimate for {name}; docs/gpu.md has a table of cards that have one"]
    card = cpu(engine_dtype(engine.dtype)) if engine.device == "cpu" else PROCESSORS[name]
    asked, trained = teacher(params, card), student(params, card)
    if not asked or not trained:
        return [*lines, "times     no estimate for these models; docs/gpu.md has a table of those that have one"]
    label, explain = asked.label() / 0.06, asked.explain() / 0.06
    recompute = recomputes(params.train, card)
    epoch = trained.epoch(1000, params.train.batch_size, recompute=recompute) / 60
    return [
        *lines,
        f"times     for 1,000 reviews, roughly: labelling {label:.1f} min, explaining all {explain:.1f} min more, "
        f"training a student {params.train.epochs} epochs of {epoch:.1f} min and a linear probe of {epoch / 3:.1f} min",
    ]


def asked_servers(params: Params) -> tuple[list[str], list[str]]:
    """What the servers of roles say that they have, a line each; and why they cannot be asked for the configured model.

    Roles on the same server are one question.
    """
    servers = {(model.server.url, model.server.model): model.server for model in params.models.values() if model.server}
    lines, faults = [], []
    for server in servers.values():
        try:
            models = offered(server)
        except BackendError as error:
            faults.append(str(error))
            continue
        lines.append(
            f"server    {server.url} has {', '.join(models) or 'no model'}; the key is in {server.key_variable}"
        )
        if server.model not in models:
            faults.append(f"server.model={server.model} is none of those that {server.url} has")
    return lines, faults


def whole_run(params: Params) -> list[str]:
    """How long `make repro` would take for the reviews that params.yaml names."""
    data = params.data
    checked = [Path(data.gold.folder) / name for name in data.gold.sets.values() if name]
    files = [(Path(data.path), data.text_column), *((path, "text") for path in checked)]
    try:
        rows = [sum(map(len, table_chunks(path, column))) for path, column in files]
        vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    except DataError as error:
        return [f"whole run unknown: {error}"]
    reviews, most = min(rows[0], data.limit or rows[0]), params.label.gold_rows
    asked = reviews + sum(min(count, most or count) for count in rows[1:])
    reviews += sum(rows[1:])
    examples, names = len(vocabulary.examples()), len(vocabulary.names())
    written = examples * (1 + params.mix.copies) + names
    seconds = cpu_run(params, reviews, asked, written)
    if seconds is None:
        return []
    dtype = engine_dtype(params.vllm.dtype)
    return [
        f"whole run about {duration(seconds, rough=True)} without downloads for {reviews:,} reviews, by the "
        f"{matmul_rate(dtype) / 1e9:,.0f} GFLOP/s in {dtype} that this processor was just measured at"
    ]


def obstacles(params: Params, machine: Machine, disks: list[Volume]) -> list[str]:
    """Why params.yaml cannot run on this machine."""
    missing = shortfall(params.vllm, machine.cards, machine.no_card)
    faults = [missing] if missing else []
    if params.vllm.device == "cuda":
        faults += [machine.no_compiler] if machine.no_compiler else []
        faults += [] if missing else crowding(params, machine)
    parts = stored(params, linked=is_linked(disks))
    return [*faults, *(found for disk in disks if (found := lacking(parts, disk)))]


def crowding(params: Params, machine: Machine) -> list[str]:
    """Whether stage `generate`, whose engine stays while the embedder works, has room for both on the card."""
    card = machine.cards[0]
    left, needed = beside_engine(params, card.gib)
    if not params.generate.base.candidates or needed <= left:
        return []
    share = params.vllm.gpu_memory_utilization
    return [
        f"stage generate has an embedder of {needed:.1f} GiB beside the engine, which leaves {left:.1f} GiB of "
        f"{card.name}: lower vllm.gpu_memory_utilization={share} to {1 - needed / card.gib:.2f} or less"
    ]


def is_linked(disks: list[Volume]) -> bool:
    """Whether a model can be a second name of a file in the hub's cache: both lie on one file system."""
    return any({"hub", "checkout"} <= set(disk.places) for disk in disks)


if __name__ == "__main__":
    run_stage(main)
