"""Stage `distil`: a faster encoder that learns from the embedder, where `distil.into` asks for one."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from stages.common.fingerprint import fingerprint
from stages.common.labels import Labels
from stages.common.manifest import write_manifest
from stages.distilling.config import Distil
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.encoding.case import as_read
from stages.encoding.source import ModelFolder
from stages.running.config import load, section
from stages.running.errors import DataError, run_stage
from stages.running.io import DATA, atomic_folder, write_json
from stages.running.scratch import scratch_folder
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)

EMBEDDER, STUDENT = DATA / "models/embedder", DATA / "models/student"


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    vocabulary: VocabularyFiles
    embed: Embed
    distil: Distil


@dataclass(frozen=True)
class Lessons:
    """What is to be learnt from: texts, others to choose the best epoch by, and single words."""

    train: list[str]
    validation: list[str]
    words: list[str]


@dataclass(frozen=True)
class Written:
    """Figures of an encoder that was written, and where its checkpoints lie; they may go once it is in its place."""

    figures: dict[str, Any]
    checkpoints: Path | None = None

    def clean(self) -> None:
        """Remove the checkpoints."""
        if self.checkpoints:
            shutil.rmtree(self.checkpoints)


def main() -> None:
    """Write `data/distilled/`: an encoder, or the note that there is none."""
    params = load(Params)
    with atomic_folder(DATA / "distilled") as folder:
        written = write_encoder(params, STUDENT, folder) if params.distil.into else Written({})
        write_json(folder / "distilled.json", {"into": params.distil.into, **written.figures})
        write_manifest(folder)
    written.clean()


def write_encoder(params: Params, student: Path, folder: Path) -> Written:
    """Write an encoder, learnt from the embedder on the train rows' texts.

    With `distil.into=student` it is that of the folder `student`.
    """
    lessons = read_lessons(params)
    if params.distil.into == "static":
        return _write_static(params, lessons, folder)
    return _write_pretrained(params, lessons, student, folder)


def read_lessons(params: Params) -> Lessons:
    """Of the dataset and the vocabulary.

    Raises:
        DataError: the dataset has no validation rows.
    """
    # Imported here, as below: torch and transformers take seconds.
    from stages.distilling.words import own_words, words_of
    from stages.training.rows import load_rows

    settings, names = params.distil, params.labels.names
    train, validation = (
        list(dict.fromkeys(load_rows(DATA / "dataset", part, names)["text"][:])) for part in ("train", "validation")
    )
    if not validation:
        raise DataError("the dataset has no validation rows to choose the best epoch by; raise data.validation_share")
    if len(train) > settings.texts:
        chosen = np.random.default_rng(params.seed).choice(len(train), settings.texts, replace=False)
        train = [train[number] for number in sorted(chosen)]
    written = read_vocabulary(params.vocabulary, names)
    frequent = words_of([*train, *written.examples()["text"]]).most_common()
    tokenizer = EMBEDDER / "tokenizer.json"
    own = own_words(Tokenizer.from_file(str(tokenizer)), train) if tokenizer.is_file() else []
    words = list(dict.fromkeys([*(word for word, _ in frequent), *own]))[: settings.words]
    return Lessons(train, validation, words)


def _write_static(params: Params, lessons: Lessons, folder: Path) -> Written:
    from stages.distilling.static import distil, write
    from stages.distilling.texts import Texts
    from stages.distilling.words import Vocabulary

    embed = Embedder(EMBEDDER, params.embed).embed
    vocabulary = Vocabulary(lessons.words)
    known, held_out = (Texts(texts, embed(texts)) for texts in (lessons.train, lessons.validation))
    distilled = distil(vocabulary, embed(lessons.words), known, held_out, params.distil, params.seed)
    write(distilled, vocabulary, folder)
    logger.info(
        "%d words; error %.3f of the variance at epoch %d", len(lessons.words), distilled.error, distilled.epoch
    )
    figures = {
        "words": len(lessons.words),
        "tokens": len(vocabulary.ids),
        "epoch": distilled.epoch,
        "validation_error": round(distilled.error, 4),
    }
    return Written(figures)


def _write_pretrained(params: Params, lessons: Lessons, student: Path, folder: Path) -> Written:
    from stages.distilling.pretrained import learn
    from stages.distilling.texts import Texts
    from stages.training.checkpoints import run_folder

    # By what the student reads, what the embedder does; a word is a text of its own.
    train, validation = (
        dict(zip(as_read(texts, lowercase=params.distil.lowercase), texts, strict=True))
        for texts in ([*lessons.train, *lessons.words], lessons.validation)
    )
    models = {model.name: fingerprint(model, without=["provenance.json"]) for model in (EMBEDDER, student)}
    what = {"distil": dataclasses.asdict(params.distil), "embed": dataclasses.asdict(params.embed), **models}
    rows = ([{"text": text} for text in texts] for texts in (train, validation))
    checkpoints = run_folder({**what, "seed": params.seed}, *rows)
    embed = Embedder(EMBEDDER, params.embed).embed
    known, held_out = (Texts([*texts], embed([*texts.values()])) for texts in (train, validation))
    with ExitStack() as opened:
        source = ModelFolder(student, params.embed.max_tokens)
        if params.distil.layers is not None:
            cut = opened.enter_context(scratch_folder(folder.parent, "layers-"))
            source.write_first_layers(params.distil.layers, cut)
            source = ModelFolder(cut, params.embed.max_tokens)
        learnt = learn(source, known, held_out, params.distil, params.seed, folder, checkpoints)
    logger.info("%d texts; error %.3f of the variance at epoch %d", len(train), learnt.error, learnt.epoch)
    figures = {
        "texts": len(train),
        "words": len(lessons.words),
        "epoch": learnt.epoch,
        "validation_error": round(learnt.error, 4),
    }
    return Written(figures, checkpoints)


if __name__ == "__main__":
    run_stage(main, "Vectors computed and epochs finished so far are stored; the same command goes on from there.")
