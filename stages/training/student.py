"""The student: a pretrained encoder with a fresh classification head over the categories."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.normalizers import Prepend
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.processors import Sequence as Processors
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from stages.encoding.case import LOWER
from stages.encoding.quiet import quiet_transformers
from stages.encoding.sentence_classifier import (
    WITH_DECODER,
    SentenceClassifier,
    SentenceClassifierConfig,
    encoder_class,
)
from stages.encoding.source import keep_layers
from stages.inference.head import lexicon_of
from stages.running.config import require
from stages.training.config import Train
from stages.training.language_head import first_tokens, is_language_model, language_head


def build_student(
    folder: Path, label_names: Sequence[str], train: Train
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load encoder and tokenizer from a Hugging Face folder and put a head over `label_names` on top.

    The head starts from torch's global random state: seed it before, to get the same student again. That of a language
    model pooled by its last token starts from its LM head, where no linear probe takes its place.

    Raises:
        ConfigError: `train.layers` or `train.max_tokens` exceeds what the model has; or it is a T5, and `train.pooling`
            is `model`, whose classifier would have a decoder without weights, or `train.precision` fp16; or see
            `language_head.first_tokens`; or `train.max_tokens` is no more than prompt and suffix take.
    """
    quiet_transformers()
    config = AutoConfig.from_pretrained(folder)
    halves = config.model_type in WITH_DECODER and train.precision == "fp16"
    require(not halves, f"train.precision=fp16: {folder} is a T5, which overflows in it; bf16 or fp32 do")
    if train.layers is not None:
        keep_layers(config, train.layers, "train.layers", folder)
    plain = AutoTokenizer.from_pretrained(folder)
    spoken = train.pooling == "last" and train.linear_probe is None and is_language_model(config)
    # Before anything stands around a text.
    answers = first_tokens(plain, train.suffix, label_names) if spoken else []
    tokenizer = around(plain, train.prompt, train.suffix, lowercase=train.lowercase)
    # T5 has no positions of its own that would end somewhere.
    longest = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", tokenizer.model_max_length))
    require(train.max_tokens <= longest, f"train.max_tokens={train.max_tokens}, but {folder} takes {longest} at most")
    added = len(tokenizer(" ")["input_ids"])
    room = added < train.max_tokens
    require(room, f"train.max_tokens={train.max_tokens} leaves no room beside prompt and suffix, {added} tokens")
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
        lexicon = train.lexicon is not None
        pooled = SentenceClassifierConfig(encoder=encoder.config, pooling=train.pooling, lexicon=lexicon, **labels)
        model: PreTrainedModel = SentenceClassifier(pooled)
        model.encoder = encoder
        table = lexicon_of(model)
        if table is not None:
            # It says nothing until it is fitted, and no gradient changes it.
            table.requires_grad_(False).zero_()
        if spoken:
            language_head(folder, answers).put_into(model)
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
    # What a copy holds instead of each of the model's tensors.
    empty: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        empty[id(parameter)] = torch.nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    return copy.deepcopy(model, empty)


def around(
    tokenizer: PreTrainedTokenizerBase, prompt: str, suffix: str = "", *, lowercase: bool = False
) -> PreTrainedTokenizerBase:
    """`tokenizer` with `prompt` before every text, and `suffix` after it, also after one that is cut.

    With `lowercase` it reads the text itself in lower case (see `encoding.case`).

    They are saved with the student, so that whoever loads it need not know of the words it was pretrained with.
    """
    if not prompt and not suffix and not lowercase:
        return tokenizer
    backend = tokenizer.backend_tokenizer
    if suffix:
        # A special token, for which a text leaves room where it is cut; this one stands for several.
        written = backend.encode(suffix, add_special_tokens=False)
        token = {"id": "suffix", "ids": written.ids, "tokens": written.tokens}
        after = TemplateProcessing(single="$A suffix", special_tokens=[token])
        backend.post_processor = Processors([*([backend.post_processor] if backend.post_processor else []), after])
    first = [*([LOWER] if lowercase else []), *([Prepend(prompt)] if prompt else [])]
    if first:
        backend.normalizer = Normalizers([*first, *([backend.normalizer] if backend.normalizer else [])])
    # The general class reads all of tokenizer.json; a model's own may put its normaliser in the saved one's place.
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, model_max_length=tokenizer.model_max_length, **tokenizer.special_tokens_map
    )


def head_parameters(model: PreTrainedModel) -> set[str]:
    """Names of the parameters that start untrained: the classifier and, in BERT, the pooler."""
    body = f"{model.base_model_prefix}."
    return {name for name, _ in model.named_parameters() if not name.startswith(body) or ".pooler." in name}
