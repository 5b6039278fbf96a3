"""Written examples as customers would tell them: a shop's own sentences about the purchase before and after.

What is written for a category says of what it is and nothing else, where a real review also thanks the seller. Examples
that are set together of two texts, of which one decides the label, teach to look past the other (a relative of
sentence-level mixing, Guo et al. 2019, arXiv 1905.08941, with the words instead of their vectors).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common.texts import text_id
from stages.mixing.config import Mix
from stages.mixing.talk import among


def mixed_rows(
    written: pd.DataFrame, talk: Sequence[str], settings: Mix, generator: np.random.Generator
) -> pd.DataFrame:
    """`settings.copies` rows for each of `written` (text, label, product, notes), with an `id`; none without `talk`."""
    copies = pd.concat([written] * (settings.copies if len(talk) else 0) or [written[:0]], ignore_index=True)
    told = [among(text, talk, settings.sentences, generator) for text in copies["text"]]
    mixed = copies.assign(text=told).drop_duplicates("text", ignore_index=True)
    return mixed.assign(id=mixed["text"].map(text_id))
