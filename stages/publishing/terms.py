"""Whose terms bind what is passed on, in words, and what the user has to affirm first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.common.licences import licence, licence_key
from stages.curation.config import Curate
from stages.distilling.config import Distil
from stages.ingestion.config import Data
from stages.publishing.errors import PublishError
from stages.running.config import PARAMS, read, section
from stages.running.errors import ConfigError
from stages.synthesis.config import Generate
from stages.weights.config import Model

# Written for this project, and under its licence.
SAMPLE = "data/raw/sample/reviews.csv"
BOTH = ("student", "dataset")
LOCK = Path("dvc.lock")
# Of the stages behind both folders, the sections that say whose terms hold.
MADE_WITH = {"package": ("models", "data", "curate", "distil"), "generate": ("generate",)}


@section
class Params:
    """What the command reads of params.yaml."""

    models: dict[str, Model]
    data: Data
    curate: Curate
    distil: Distil
    generate: Generate


@dataclass(frozen=True)
class Term:
    """`source` is under `licence` and binds what of `BOTH` it went into.

    `asks`: what the user affirms by the word `accept`, both empty if nothing. `notice`, `link`: for whoever gets it.
    """

    source: str
    licence: str
    binds: tuple[str, ...]
    asks: str = ""
    accept: str = ""
    notice: str = ""
    link: str = ""


def terms(params: Params) -> list[Term]:
    """A term for each model that had a part in the student or the dataset, and one for the reviews."""
    roles = {"teacher": ("its labels", BOTH), "student": ("the encoder", ("student",))}
    if params.generate.base.candidates:
        roles["generator"] = ("its reviews", BOTH)
    if params.curate.policy != "none" or params.distil.into is not None:
        roles["embedder"] = ("its vectors", BOTH)
    return [
        *(_of_model(model, *roles[role]) for role, model in params.models.items() if role in roles),
        _reviews(params.data),
    ]


def _of_model(model: Model, part: str, binds: tuple[str, ...]) -> Term:
    source = f"{model.name} ({part})"
    if model.server is not None:
        asks = "the terms of whoever runs the server are not known here: they let you train a model by its answers"
        return Term(source, model.license, binds, asks, "server")
    known = licence(model.license)
    return Term(
        source, model.license, binds, known.asks, licence_key(model.license) if known.asks else "", known.notice,
        known.link,
    )  # fmt: skip


def _reviews(data: Data) -> Term:
    if data.path == SAMPLE:
        return Term("the sample's reviews", "MIT", BOTH)
    asks = (
        "you may pass on these texts and what learnt from them; numbers and addresses in them are masked, names and "
        "all else are as customers wrote it"
    )
    return Term(f"the reviews of {data.path}", "that of their source", BOTH, asks, "reviews")


def binding(found: Sequence[Term], shared: Collection[str]) -> list[Term]:
    """Those of the terms that bind something of what is `shared`."""
    return [term for term in found if set(term.binds) & set(shared)]


def check_accepted(found: Sequence[Term], accepted: Collection[str]) -> None:
    """Stop before anything is passed on that the user did not speak for.

    Raises:
        PublishError: a term asks for a word that is not among `accepted`; the message has all such words.
    """
    missing = {term.accept: f"{term.source}, {term.licence}: {term.asks}" for term in found if term.accept}
    missing = {word: why for word, why in missing.items() if word not in accepted}
    if missing:
        raise PublishError(
            f"nothing was passed on; read the terms, and if this holds, say so by --accept {' '.join(missing)}. "
            + "; ".join(f"{word}: {why}" for word, why in missing.items())
        )


def table(found: Sequence[Term]) -> list[str]:
    """Lines that say what binds what, and by which word what is asked for is affirmed."""
    heads = ("what it was made of", "licence", "binds", "--accept")
    rows = [(term.source, term.licence, " and ".join(term.binds), term.accept or "not needed") for term in found]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    asked = {term.accept: term for term in found if term.accept}
    lines += [f"--accept {word} says: {term.asks}{_see(term)}" for word, term in asked.items()]
    return [line.rstrip() for line in lines]


def notice(found: Sequence[Term], what: str) -> str:
    """The text that goes along with `what`: of what it was made, under which terms."""
    lines = [f"This {what} was made with Razmetka of:", ""]
    for term in binding(found, [what]):
        lines += [f"- {term.source}: {term.licence}{_see(term)}"]
    for text in dict.fromkeys(term.notice for term in binding(found, [what]) if term.notice):
        lines += ["", text]
    return "\n".join(lines) + "\n"


def _see(term: Term) -> str:
    return f" ({term.link})" if term.link else ""


def check_made_with(params: Path = PARAMS, lock: Path = LOCK) -> None:
    """See that what lies in `data/` was made with the settings that `params` has now: its licences are those there.

    Raises:
        PublishError: there was no run, or it had other models or reviews.
    """
    try:
        stages, now = read(lock)["stages"], read(params)
        then = {stage: stages[stage]["params"]["params.yaml"] for stage in MADE_WITH}
    except (ConfigError, KeyError, TypeError) as error:
        raise PublishError(f"{lock} knows of no finished run; run `make repro`") from error
    for stage, sections in MADE_WITH.items():
        for name in sections:
            if then[stage].get(name) != now.get(name):
                raise PublishError(
                    f"data/ was made with another section {name} than {params} has, which says whose terms hold: "
                    "run `make repro`, or `make params` with the SET of that run"
                )
