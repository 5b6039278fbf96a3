"""The student: a pretrained encoder with a fresh classification head over the categories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.normalizers import Prepend
from tokenizers.normalizers import Sequence as Normalizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from stages.common.config import require
from stages.encoding.quiet import quiet_transformers
from stages.encoding.sentence_classifier import SentenceClassifier, SentenceClassifierConfig
from stages.training.config import Train


def build_student(
    folder: Path, label_names: Sequence[str], train: Train
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load encoder and tokenizer from a Hugging Face folder and put a head over `label_names` on top.

    The head starts from torch's global random state: seed it before, to get the same student again.

    Raises:
        ConfigError: `train.layers` or `train.max_tokens` exceeds what the model has.
    """
    quiet_transformers()
    config = AutoConfig.from_pretrained(folder)
    if train.layers is not None:
        available = config.num_hidden_layers
        require(1 <= train.layers <= available, f"train.layers={train.layers}, but {folder} has {available} layers")
        config.num_hidden_layers = train.layers
    tokenizer = prompted(AutoTokenizer.from_pretrained(folder), train.prompt)
    longest = min(tokenizer.model_max_length, config.max_position_embeddings)
    require(train.max_tokens <= longest, f"train.max_tokens={train.max_tokens}, but {folder} takes {longest} at most")
    # Saved with the student, so that whoever loads it truncates as training did.
    tokenizer.model_max_length = train.max_tokens
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: index for index, name in enumerate(label_names)},
        "problem_type": "single_label_classification",
    }
    # Weights stored in half precision would otherwise be trained in half precision.
    if train.pooling == "mean":
        encoder = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32)
        encoder.config.name_or_path = ""  # a path of this machine, which would be saved with the student
        model: PreTrainedModel = SentenceClassifier(SentenceClassifierConfig(encoder=encoder.config, **labels))
        model.encoder = encoder
    else:
        config.update(labels)
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32)
    if train.frozen_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    return model, tokenizer


def prompted(tokenizer: PreTrainedTokenizerBase, prompt: str) -> PreTrainedTokenizerBase:
    """`tokenizer` with `prompt` before every text.

    It is saved with the student, so that whoever loads it need not know of the prompt it was pretrained with.
    """
    if not prompt:
        return tokenizer
    backend = tokenizer.backend_tokenizer
    backend.normalizer = Normalizers([Prepend(prompt), *([backend.normalizer] if backend.normalizer else [])])
    # The general class reads all of tokenizer.json; a model's own may put its normaliser in the saved one's place.
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, model_max_length=tokenizer.model_max_length, **tokenizer.special_tokens_map
    )


def head_parameters(model: PreTrainedModel) -> set[str]:
    """Names of the parameters that start untrained: the classifier and, in BERT, the pooler."""
    body = f"{model.base_model_prefix}."
    return {name for name, _ in model.named_parameters() if not name.startswith(body) or ".pooler." in name}
