"""What a further row is worth, by influence, beside what it does when it is learnt from."""

import numpy as np
from scipy.special import log_softmax

from benchmarks.further_rows import Scored, _edited, _regression, influence
from benchmarks.heads import Rows, Texts

LABELS = 3
REGULARISATION = 0.5


def rows(count: int, seed: int) -> Rows:
    """Points around three centres, each named by its centre."""
    random = np.random.default_rng(seed)
    labels = random.integers(LABELS, size=count)
    features = np.eye(LABELS)[labels] + random.normal(scale=0.7, size=(count, LABELS))
    return Rows.checked(Texts(features.astype(np.float32), [[] for _ in labels]), labels, LABELS)


def loss(learnt: Rows, base: Rows, judges: Rows) -> float:
    """Of `judges`, by a regression on `learnt`, standardised as `base` is."""
    mean, scale = base.texts.features.mean(axis=0), base.texts.features.std(axis=0)

    def inputs(texts: Texts) -> np.ndarray:
        return np.column_stack([(texts.features - mean) / scale, np.ones(len(texts.features))]).astype(float)

    weights = _regression(inputs(learnt.texts), learnt, REGULARISATION)
    logits = inputs(judges.texts) @ weights.T
    return float(-(judges.soft_labels * log_softmax(logits, axis=1)).sum())


def test_influence_foretells_what_learning_from_a_row_does():
    base, further, judges = rows(300, 0), rows(12, 1), rows(60, 2)
    # Some with a wrong label, so that what they do differs.
    wrong = Rows.checked(further.texts, (further.labels + 1) % LABELS, LABELS)
    further = further.joined(wrong)
    value = influence(base, further, Scored(judges.texts, judges.labels, "macro_f1"), REGULARISATION)
    before = loss(base, base, judges)
    happened = [before - loss(base.joined(further.take(np.array([at]))), base, judges) for at in range(24)]
    assert np.corrcoef(value, happened)[0, 1] > 0.95


def test_an_edit_keeps_most_words_and_some_of_every_text():
    random = np.random.default_rng(0)
    text = "куртка тёплая но молния заедает второй день подряд"
    edits = {_edited(text, random) for _ in range(20)}
    assert len(edits) > 10
    assert all(set(edit.split()) <= set(text.split()) and len(edit.split()) >= 4 for edit in edits)
    assert _edited("супер", random) == "супер"
