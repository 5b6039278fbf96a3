"""What a lexicon's rows for the tokens of a text come to.

This file stands alone, as `sentence_classifier.py` does, beside which it is saved.
"""

from __future__ import annotations

import torch

# Where no token of a text weighs anything.
LEAST = 0.001


def of_one_length(said: torch.Tensor) -> torch.Tensor:
    """Logits (rows, labels) of what a lexicon says of all tokens together (rows, labels + 1), however many they are."""
    said = said.float()
    return said[:, :-1] / said[:, -1:].clamp(min=LEAST).sqrt()
