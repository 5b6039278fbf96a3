"""What the best epoch is chosen by."""

from __future__ import annotations

from sklearn.metrics import accuracy_score, f1_score

from stages.common.arrays import FloatArray, IntArray


def validation_scores(logits: FloatArray, labels: IntArray) -> dict[str, float]:
    """Accuracy, and macro F1 over the labels that are present or predicted: inventing a label must cost.

    Args:
        logits: (rows, labels). labels: (rows,) label indices.
    """
    predicted = logits.argmax(axis=1)
    macro_f1 = f1_score(labels, predicted, average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(labels, predicted)), "macro_f1": float(macro_f1)}
