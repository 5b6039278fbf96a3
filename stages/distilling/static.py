"""A static encoder: what an embedder gives for single words, mixed so that whole texts come near what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from stages.common.arrays import Vectors
from stages.distilling.config import Distil
from stages.distilling.texts import Texts
from stages.distilling.words import PADDING, START, UNKNOWN, Vocabulary
from stages.encoding.static_encoder import StaticEncoder, StaticEncoderConfig
from stages.running.progress import Progress

# The weight of tokens that say nothing: beside any other they have no share.
SILENT = -10_000.0
HIDDEN = 64
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Distilled:
    """The encoder, the epoch it is of, and its error on the validation texts (share of the vectors' variance)."""

    encoder: StaticEncoder
    epoch: int
    error: float


class _Mixture(nn.Module):
    """A weight for every word vector by a small network, and a linear map of their weighted mean."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Sequential(nn.Linear(size, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 1))
        self.map = nn.Linear(size, size)
        last = cast("nn.Linear", self.weight[2])
        # All words weigh the same at first.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, words: torch.Tensor, ids: torch.Tensor, silent: int) -> torch.Tensor:
        """Vectors (rows, size) of ids (rows, tokens); those below `silent` have no share."""
        vectors = words[ids]
        weights = self.weight(vectors).squeeze(-1).masked_fill(ids < silent, SILENT)
        mixed: torch.Tensor = (weights.softmax(dim=1).unsqueeze(-1) * self.map(vectors)).sum(dim=1)
        return mixed


def distil(
    vocabulary: Vocabulary, words: Vectors, train: Texts, validation: Texts, settings: Distil, seed: int
) -> Distilled:
    """Learn the mixture by the squared error, and keep the epoch that is best on `validation`.

    Args:
        vocabulary: the tokens.
        words: what the embedder gives for `vocabulary.words`, shape (words, size).
        train, validation: no text is of both.
        settings: epochs, batch size, learning rate.
        seed: of the order and of the small network.
    """
    torch.manual_seed(seed)
    table = _table(vocabulary, words)
    centre, scale = train.vectors.mean(axis=0), train.vectors.std(axis=0) + 1e-6
    aims, held_out = (torch.from_numpy((part.vectors - centre) / scale) for part in (train, validation))
    ids, held_out_ids = (_ids(vocabulary, part.texts) for part in (train, validation))
    model = _Mixture(words.shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY)
    steps = settings.epochs * -(-len(ids) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps)
    best: Distilled | None = None
    with Progress("distil", settings.epochs, "epochs") as progress:
        for epoch in range(1, settings.epochs + 1):
            for rows in torch.randperm(len(ids)).split(settings.batch_size):  # type: ignore[no-untyped-call]
                given = model(table, _batch([ids[row] for row in rows]), vocabulary.silent)
                loss = nn.functional.mse_loss(given, aims[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            with torch.no_grad():
                parts = torch.arange(len(held_out_ids)).split(settings.batch_size)  # type: ignore[no-untyped-call]
                given = [model(table, _batch([held_out_ids[row] for row in part]), vocabulary.silent) for part in parts]
            error = float(nn.functional.mse_loss(torch.cat(given), held_out))
            if best is None or error < best.error:
                best = Distilled(_written(vocabulary, model, table, centre, scale), epoch, error)
            progress.update()
    assert best is not None, "there is an epoch at least"
    return best


def write(distilled: Distilled, vocabulary: Vocabulary, folder: Path) -> None:
    """Write an ordinary Hugging Face folder."""
    distilled.encoder.save_pretrained(folder)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=vocabulary.tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        cls_token=START,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def _table(vocabulary: Vocabulary, words: Vectors) -> torch.Tensor:
    """A vector for every token, standardised: a stem has the mean of its words, what says nothing the mean of all."""
    standard = (words - words.mean(axis=0)) / (words.std(axis=0) + 1e-6)
    number = {word: index for index, word in enumerate(vocabulary.words)}
    stems = [standard[[number[word] for word in cut]].mean(axis=0) for cut in vocabulary.stems.values()]
    silent = np.zeros((vocabulary.silent, words.shape[1]), dtype=np.float32)
    return torch.from_numpy(
        np.concatenate([silent, standard, *([np.stack(stems)] if stems else [])]).astype(np.float32)
    )


def _ids(vocabulary: Vocabulary, texts: Sequence[str]) -> list[torch.Tensor]:
    return [torch.tensor(encoded.ids) for encoded in vocabulary.tokenizer.encode_batch(list(texts))]


def _batch(ids: Sequence[torch.Tensor]) -> torch.Tensor:
    # Padding is the first of the tokens that say nothing.
    return pad_sequence([*ids], batch_first=True, padding_value=0)


@torch.no_grad()
def _written(
    vocabulary: Vocabulary, model: _Mixture, table: torch.Tensor, centre: Vectors, scale: Vectors
) -> StaticEncoder:
    """The mixture as a table: what the map makes of each word, in the embedder's own scale."""
    size = table.shape[1]
    encoder = StaticEncoder(StaticEncoderConfig(vocab_size=len(table), hidden_size=size))
    vectors = model.map(table) * torch.from_numpy(scale) + torch.from_numpy(centre)
    weights = model.weight(table)
    weights[: vocabulary.silent] = SILENT
    encoder.embeddings.weight.copy_(vectors)
    encoder.embedding_weights.weight.copy_(weights)
    return encoder
