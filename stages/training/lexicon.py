"""A lexicon: what each token by itself says of a text's category, by a regression on the tokens that a text has."""

from __future__ import annotations

import logging

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array

from stages.encoding.lexicon import LEAST
from stages.inference.head import Head, Ids
from stages.training.config import Lexicon
from stages.training.losses import StudentLoss
from stages.training.probe import minimised
from stages.training.rows import Targets

logger = logging.getLogger(__name__)


def with_lexicon(head: Head, ids: Ids, tokens: int, aims: Targets, loss: StudentLoss, settings: Lexicon) -> Head:
    """`head` and a lexicon of `tokens` tokens, fitted to texts with the token `ids`.

    A token weighs the more the fewer texts have it (Sparck Jones 1972, doi 10.1108/eb026526), and the weights of a text
    have the length 1; what stands in all of them, a prompt or an end, weighs nothing.

    Args:
        head: of the encoder.
        ids: of each train row.
        tokens: that the tokenizer has.
        aims: what the rows shall be answered.
        loss: what is minimised, beside the penalty.
        settings: the penalty, and the lexicon's say.
    """
    counts = _counts(ids, tokens)
    texts = np.bincount(counts.indices, minlength=tokens)
    weights = np.log(len(ids) / np.maximum(texts, 1)) * (texts > 0)
    known = np.flatnonzero(weights)
    lengths = np.sqrt(np.maximum(counts @ weights**2, LEAST))
    inputs = (diags_array(1 / lengths) @ counts @ diags_array(weights)).tocsr()[:, known]
    found, losses = minimised(inputs, aims, loss, settings.regularisation, bias=True)
    logger.info("lexicon: %d tokens, loss %.3f to %.3f in %d steps", len(known), losses[0], losses[-1], len(losses) - 1)
    table = torch.zeros(tokens, len(found) + 1)
    scores = settings.weight * found[:, :-1].T * weights[known, None]
    table[known] = torch.from_numpy(np.column_stack([scores, weights[known] ** 2])).float()
    return head.beside(table, settings.weight * torch.from_numpy(found[:, -1]).float())


def _counts(ids: Ids, tokens: int) -> csr_array:
    """How often each token stands in each text, shape (texts, tokens)."""
    starts = np.cumsum([0, *map(len, ids)])
    flat = np.array([token for text in ids for token in text], dtype=np.int64)
    counts = csr_array((np.ones(len(flat)), flat, starts), shape=(len(ids), tokens))
    counts.sum_duplicates()
    return counts
