"""A small pretrained encoder that learns to give what the embedder gives.

The squared error of vectors, with a map between the two sizes that is thrown away afterwards (Reimers & Gurevych 2020,
arXiv 2004.09813, sec. 2; the map as in TinyBERT, arXiv 1909.10351, sec. 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import AutoTokenizer, DataCollatorWithPadding, EvalPrediction, TrainingArguments, set_seed

from stages.common.arrays import Vectors
from stages.distilling.config import Distil
from stages.distilling.texts import Texts
from stages.encoding.graph import pooled
from stages.encoding.means import TokenMeans, means_space
from stages.encoding.source import ModelFolder
from stages.running.peak import engine_dtype
from stages.training.checkpoints import last_whole
from stages.training.trainer import ALWAYS, Checkpointed, OneCard, StepProgress

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

WEIGHT_DECAY, WARMUP_SHARE = 0.01, 0.1
# Inputs (rows, tokens) and aims (rows, size) of encoded texts.
IDS, AIMS = "input_ids", "aims"
# Of the ridge regression that the map starts from, on standardised features; and the rows that suffice for it.
RIDGE, FITTED = 0.3, 2000


@dataclass(frozen=True)
class Learnt:
    """The epoch that is kept, and its error on the validation texts (share of the vectors' variance)."""

    epoch: int
    error: float


class Learner(nn.Module):
    """An encoder, and a map of the mean over its tokens into the embedder's space, standardised."""

    # What `Trainer` asks every model for when it loads the best one.
    _keys_to_ignore_on_save = None

    def __init__(self, encoder: PreTrainedModel, projection: nn.Linear) -> None:
        """Take both."""
        super().__init__()
        self.encoder = encoder
        self.projection = projection

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, aims: torch.Tensor) -> dict[str, Any]:
        """The squared error against `aims` (rows, size) of ids (rows, tokens)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        given = self.projection(pooled(hidden.float(), attention_mask, "mean"))
        return {"loss": nn.functional.mse_loss(given, aims), "given": given}


def unexplained(prediction: EvalPrediction) -> dict[str, float]:
    """The squared error as a share of the aims' own variance, which single words have more of than texts."""
    given, aims = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    return {"error": float(((given - aims) ** 2).mean() / aims.var(axis=0).mean())}


def learn(source: ModelFolder, train: Texts, validation: Texts, settings: Distil, seed: int, target: Path,
          checkpoints: Path) -> Learnt:  # fmt: skip
    """Train the encoder of `source`, and write that of the epoch that is best on `validation` to the folder `target`.

    An interrupted training goes on from `checkpoints`, which the caller deletes in the end. Word vectors stay as they
    are: a word that no text has keeps what pretraining knows of it.
    """
    centre, scale = train.vectors.mean(axis=0), train.vectors.std(axis=0) + 1e-6
    aims = [(part.vectors - centre) / scale for part in (train, validation)]
    set_seed(seed)
    encoder = source.encoder()
    encoder.get_input_embeddings().requires_grad_(False)
    model = Learner(encoder, _fitted(source, train.texts[:FITTED], aims[0][:FITTED]))
    rows, held_out = (_encoded(source, part.texts, aim) for part, aim in zip((train, validation), aims, strict=True))
    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    trainer = Checkpointed(
        model=model,
        args=_arguments(settings, seed, checkpoints),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=rows,
        eval_dataset=held_out,
        compute_metrics=unexplained,
    )
    checkpoint = last_whole(checkpoints)
    with ExitStack() as opened:
        trainer.add_callback(StepProgress("distil", opened))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    history = [entry for entry in trainer.state.log_history if "eval_error" in entry]
    best = min(history, key=lambda entry: entry["eval_error"])
    encoder.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return Learnt(round(best["epoch"]), best["eval_loss"])


def _fitted(source: ModelFolder, texts: Sequence[str], aims: Vectors) -> nn.Linear:
    """The map that suits the encoder as it is: a ridge regression of `aims` on what it gives for `texts`."""
    features = TokenMeans(means_space(source.folder, "mean", source.max_tokens), "mean", source).of(texts)
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    standard = (features - centre) / scale
    damped = standard.T @ standard / len(standard) + RIDGE * np.eye(standard.shape[1])
    weight = np.linalg.solve(damped, standard.T @ aims / len(standard)) / scale[:, None]
    fitted = nn.Linear(*weight.shape)
    with torch.no_grad():
        fitted.weight.copy_(torch.from_numpy(weight.T))
        fitted.bias.copy_(torch.from_numpy(-centre @ weight))
    return fitted


def _encoded(source: ModelFolder, texts: Sequence[str], aims: Vectors) -> Dataset:
    from datasets import Dataset

    ids = [source.ids(text) for text in texts]
    masks = [[1] * len(row) for row in ids]
    return Dataset.from_dict({IDS: ids, "attention_mask": masks, AIMS: [*aims.astype(np.float32)]})


def _arguments(settings: Distil, seed: int, checkpoints: Path) -> TrainingArguments:
    card = torch.cuda.is_available()
    return OneCard(
        **ALWAYS,
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=WEIGHT_DECAY,
        warmup_steps=WARMUP_SHARE,
        bf16=engine_dtype("auto") == "bfloat16",
        use_cpu=not card,
        metric_for_best_model="error",
        greater_is_better=False,
        seed=seed,
        data_seed=seed,
        label_names=[AIMS],
        dataloader_pin_memory=card,
    )
