"""What the encoder gives the head: computed once for the same encoder and the same rows.

A sweep over losses, and students that learn from the same rows, differ in the head alone.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from stages.common.io import atomic_path, cache_folder
from stages.common.schema import FloatArray

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 64


def head_inputs(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> FloatArray:
    """What reaches the last linear layer, without dropout; shape (rows, features), in the order of `rows`.

    Kept in the cache folder, whole row sets at a time: rounding depends on which rows share a batch, and nothing that
    is computed may depend on what was computed before.
    """
    tokens = rows.select_columns(["input_ids", "attention_mask"]).to_list()
    stored = cache_folder() / "features" / f"{_fingerprint(model, tokens)}.npy"
    if stored.is_file():
        features: FloatArray = np.load(stored, allow_pickle=False)
        return features
    features = _compute(model, tokenizer, tokens)
    with atomic_path(stored) as temporary:
        np.save(temporary, features, allow_pickle=False)
    return features


def last_linear(model: PreTrainedModel) -> torch.nn.Linear:
    """The layer that gives the logits."""
    fitting = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    return fitting[-1]


def _fingerprint(model: PreTrainedModel, tokens: list[dict[str, list[int]]]) -> str:
    """Of everything that the features depend on: kind of processor, versions, configuration, weights and tokens."""
    head = last_linear(model)
    digest = hashlib.sha256(f"{model.device.type} {torch.__version__} {model.config.to_json_string()}".encode())
    for name, parameter in model.state_dict(keep_vars=True).items():
        if parameter is not head.weight and parameter is not head.bias:
            digest.update(name.encode() + parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    digest.update(json.dumps(tokens).encode())
    return digest.hexdigest()[:32]


def _compute(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: list[dict[str, list[int]]]
) -> FloatArray:
    seen: list[torch.Tensor] = []
    hook = last_linear(model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    # Rows of like length share a batch, so that little is padded.
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]["input_ids"]))
    collate = DataCollatorWithPadding(tokenizer)
    was_training = model.training
    model.train(False)
    features = []
    try:
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                inputs = collate([tokens[row] for row in order[start : start + BATCH]])
                inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
                model(**inputs)
                features.append(_pooled(seen.pop(), inputs["attention_mask"]).float().cpu())
    finally:
        hook.remove()
        model.train(was_training)
    return torch.cat(features).numpy()[np.argsort(order)]


def _pooled(inputs: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """One row a text: models of decoder architecture put their head on every token and take the last one's logits."""
    if inputs.ndim == 2:
        return inputs
    last = (attention_mask * torch.arange(attention_mask.shape[1], device=attention_mask.device)).argmax(dim=1)
    return inputs[torch.arange(len(inputs), device=inputs.device), last]
