"""Linear probing before fine-tuning: a head that starts from a logistic regression on the frozen encoder's features.

A random head pulls the encoder away from what it knows while it learns; one that fits already does not (LP-FT, Kumar
et al., ICLR 2022, arXiv 2202.10054). It also spares the few steps that a small data set has.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from stages.common.schema import FloatArray

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def probe_head(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    regularisation: float,
) -> None:
    """Set the last linear layer of `model` in place to a logistic regression over its own inputs.

    Classes weigh the same whatever their number of rows; a class without rows is made improbable.

    Args:
        model: a sequence classifier whose last linear layer gives the logits.
        tokenizer: pads the batches.
        rows: encoded rows (`rows.encode`); one class alone leaves the head as it is.
        regularisation: inverse strength of the L2 penalty on standardised features (scikit-learn's C).
    """
    labels = np.asarray(rows["labels"][:])
    if len(np.unique(labels)) < 2:
        return
    head = _last_linear(model)
    features = head_inputs(model, tokenizer, rows)
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=regularisation, class_weight="balanced", max_iter=1000)
    regression.fit(scaler.transform(features), labels)
    # Two classes share one row of coefficients in scikit-learn.
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.concatenate([-intercepts, intercepts])
    weights = np.zeros((head.out_features, head.in_features))
    biases = np.full(head.out_features, float(intercepts.min()) - 5.0)
    weights[regression.classes_] = coefficients / scaler.scale_
    biases[regression.classes_] = intercepts - (coefficients / scaler.scale_) @ scaler.mean_
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(biases))
    logger.info("linear probe: accuracy %.3f on its own rows", regression.score(scaler.transform(features), labels))


def head_inputs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset, batch: int = 64
) -> FloatArray:
    """What reaches the last linear layer, without dropout; shape (rows, features), in the order of `rows`."""
    tokens = rows.select_columns(["input_ids", "attention_mask"]).to_list()
    captured: list[torch.Tensor] = []
    hook = _last_linear(model).register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0].detach().cpu()))
    # Rows of like length share a batch, so that little is padded.
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]["input_ids"]))
    collate = DataCollatorWithPadding(tokenizer)
    was_training = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                inputs = collate([tokens[row] for row in order[start : start + batch]])
                model(**{name: tensor.to(model.device) for name, tensor in inputs.items()})
    finally:
        hook.remove()
        model.train(was_training)
    features = torch.cat(captured).float().numpy()
    return features[np.argsort(order)]


def _last_linear(model: PreTrainedModel) -> torch.nn.Linear:
    fitting = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    return fitting[-1]
