"""Stage `distil`: a faster encoder that learns from the embedder, where `distil.into` asks for one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from stages.common.config import load, section
from stages.common.errors import DataError, run_stage
from stages.common.io import DATA, atomic_folder, write_json
from stages.common.labels import Labels
from stages.common.manifest import write_manifest
from stages.distilling.config import Distil
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)

EMBEDDER = DATA / "models/embedder"


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    vocabulary: VocabularyFiles
    embed: Embed
    distil: Distil


def main() -> None:
    """Write `data/distilled/`: an encoder, or the note that there is none."""
    params = load(Params)
    with atomic_folder(DATA / "distilled") as folder:
        figures = {"into": None} if params.distil.into is None else write_static(params, folder)
        write_json(folder / "distilled.json", figures)
        write_manifest(folder)


def write_static(params: Params, folder: Path) -> dict[str, Any]:
    """Write a static encoder, learnt from the embedder on the train rows' texts; what came of it."""
    # Imported here: torch and transformers take seconds.
    from stages.distilling.static import Texts, distil, write
    from stages.distilling.words import Vocabulary, own_words, words_of
    from stages.training.rows import load_rows

    settings, names = params.distil, params.labels.names
    train, validation = (load_rows(DATA / "dataset", part, names)["text"][:] for part in ("train", "validation"))
    if not validation:
        raise DataError("the dataset has no validation rows to choose the best epoch by; raise data.validation_share")
    written = read_vocabulary(params.vocabulary, names)
    frequent = words_of([*train, *written.examples()["text"]]).most_common()
    tokenizer = EMBEDDER / "tokenizer.json"
    own = own_words(Tokenizer.from_file(str(tokenizer)), train) if tokenizer.is_file() else []
    words = list(dict.fromkeys([*(word for word, _ in frequent), *own]))[: settings.words]
    embed = Embedder(EMBEDDER, params.embed).embed
    vocabulary = Vocabulary(words)
    known, held_out = Texts(train, embed(train)), Texts(validation, embed(validation))
    distilled = distil(vocabulary, embed(words), known, held_out, settings, params.seed)
    write(distilled, vocabulary, folder)
    logger.info("%d words; error %.3f of the variance at epoch %d", len(words), distilled.error, distilled.epoch)
    return {
        "into": settings.into,
        "words": len(words),
        "tokens": len(vocabulary.ids),
        "epoch": distilled.epoch,
        "validation_error": round(distilled.error, 4),
    }


if __name__ == "__main__":
    run_stage(main)
