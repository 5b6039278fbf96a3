"""What several students answer, with one pass of an encoder for all that share it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax

from stages.common.arrays import FloatArray
from stages.common.errors import DataError
from stages.inference.features import Load, head_inputs
from stages.inference.folder import encoder_space, read_head, read_labels


def student_probabilities(
    folder: Path, texts: Sequence[str], batch_size: int, label_names: Sequence[str] | None = None
) -> FloatArray:
    """Distributions that the student in `folder` gives to `texts`, shape (rows, labels).

    What its encoder gives is kept: neither this student nor one that shares the encoder needs it for these texts again.

    Raises:
        ModelError: `folder` holds no trained student.
        DataError: the student's labels are not `label_names` in that order.
    """
    labels = read_labels(folder)
    if label_names is not None and labels != list(label_names):
        raise DataError(f"{folder} was trained on the labels {labels}, not labels.names; run `dvc repro train`")
    features = head_inputs(encoder_space(folder), texts, _loader(folder), batch_size)
    probabilities: FloatArray = softmax(read_head(folder).logits(features).astype(np.float64), axis=1)
    return probabilities


def _loader(folder: Path) -> Load:
    def load() -> tuple[object, object]:
        # Imported here: where all texts are known, no student is loaded.
        from stages.inference.classifier import Classifier

        classifier = Classifier(folder)
        return classifier.model, classifier.tokenizer

    return load  # type: ignore[return-value]
