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
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from stages.common.config import require
from stages.encoding.quiet import quiet_transformers
from stages.encoding.sentence_classifier import (
    WITH_DECODER,
    SentenceClassifier,
    SentenceClassifierConfig,
    encoder_class,
)
from stages.training.config import Train


def build_student(
    folder: Path, label_names: Sequence[str], train: Train
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load encoder and tokenizer from a Hugging Face folder and put a head over `label_names` on top.

    The head starts from torch's global random state: seed it before, to get the same student again.

    Raises:
        ConfigError: `train.layers` or `train.max_tokens` exceeds what the model has; or it is a T5, and `train.pooling`
            is `model`, whose classifier would have a decoder without weights, or `train.precision` fp16.
    """
    quiet_transformers()
    config = AutoConfig.from_pretrained(folder)
    halves = config.model_type in WITH_DECODER and train.precision == "fp16"
    require(not halves, f"train.precision=fp16: {folder} is a T5, which overflows in it; bf16 or fp32 do")
    if train.layers is not None:
        available = config.num_hidden_layers
        require(1 <= train.layers <= available, f"train.layers={train.layers}, but {folder} has {available} layers")
        config.num_hidden_layers = train.layers
        # Gemma's layers are of two kinds, told one by one.
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: train.layers]
    tokenizer = prompted(AutoTokenizer.from_pretrained(folder), train.prompt)
    # T5 has no positions of its own that would end somewhere.
    longest = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", tokenizer.model_max_length))
    require(train.max_tokens <= longest, f"train.max_tokens={train.max_tokens}, but {folder} takes {longest} at most")
    # Saved with the student, so that whoever loads it truncates as training did.
    tokenizer.model_max_length = train.max_tokens
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: index for index, name in enumerate(label_names)},
        "problem_type": "single_label_classification",
    }
    # Weights stored in half precision would otherwise be trained in half precision.
    if train.pooling != "model":
        encoder = encoder_class(config).from_pretrained(folder, config=config, dtype=torch.float32)
        encoder.config.name_or_path = ""  # a path of this machine, which would be saved with the student
        pooled = SentenceClassifierConfig(encoder=encoder.config, pooling=train.pooling, **labels)
        model: PreTrainedModel = SentenceClassifier(pooled)
        model.encoder = encoder
    else:
        whole = config.model_type not in WITH_DECODER
        require(whole, f"train.pooling=model: {folder} would need a decoder; train.pooling=mean, or cls, needs none")
        config.update(labels)
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32)
    if train.frozen_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    return model, tokenizer


def without_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The same architecture on the device `meta`, which holds no numbers: what other processes need of a model."""
    with torch.device("meta"):
        made = type(model)(model.config)
    for ours, parameter in zip(model.parameters(), made.parameters(), strict=True):
        parameter.requires_grad_(ours.requires_grad)
    return made


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
