"""The classifier that a folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.inference.onnx_classifier import OnnxClassifier

if TYPE_CHECKING:
    from stages.inference.classifier import Classifier

# Where a student's folder has what stage `export` wrote.
EXPORTED = "onnx"


def load_classifier(folder: Path) -> OnnxClassifier | Classifier:
    """The exported student in `folder`; one that was trained and not exported is run by torch.

    Raises:
        ModelError: `folder` holds no student, or a damaged one.
    """
    if (folder / EXPORTED).is_dir():
        return OnnxClassifier(folder / EXPORTED)
    # Imported here: torch and transformers take seconds.
    from stages.inference.classifier import Classifier

    return Classifier(folder)
