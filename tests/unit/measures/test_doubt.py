import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.measures.doubt import LIKELY_ERROR, LOW_CONFIDENCE, doubt, reasons

ROWS, LABELS = 6, 4
OPINION = arrays(np.float64, (ROWS, LABELS), elements=st.floats(0.01, 1)).map(
    lambda x: x / x.sum(axis=1, keepdims=True)
)
LABEL = arrays(np.int64, ROWS, elements=st.integers(0, LABELS - 1))
SAYS = st.tuples(st.floats(0, 3), st.floats(0.1, 3))


def test_by_hand() -> None:
    # The teacher, with a fifth of the say, is sure of the label; the second opinion leans to another.
    teacher, opinion = np.array([[1.0, 0.0, 0.0]]), np.array([[0.3, 0.6, 0.1]])
    mean = (0.2 * teacher + opinion) / 1.2
    (found,) = doubt(np.array([0]), [teacher, opinion], [0.2, 1])
    assert found == pytest.approx((1 - (mean[0, 0] - mean[0, 1])) / 2)
    assert found > 0.5


def test_it_is_nothing_where_all_are_sure_of_the_label_and_one_where_all_are_sure_of_another() -> None:
    sure = np.eye(3)
    assert doubt(np.array([0, 1, 2]), [sure, sure], [1, 1]).tolist() == [0, 0, 0]
    assert doubt(np.array([1, 2, 0]), [sure, sure], [1, 1]).tolist() == [1, 1, 1]
    # Each sure of another: nothing speaks for either.
    assert doubt(np.array([0]), [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])], [1, 1]).tolist() == [0.5]


@given(LABEL, OPINION, OPINION, SAYS)
def test_it_lies_between_0_and_1_and_above_a_half_exactly_where_another_label_is_likelier(
    labels, one, two, says
) -> None:
    found = doubt(labels, [one, two], says)
    assert ((found >= 0) & (found <= 1)).all()
    pooled = np.average([one, two], axis=0, weights=says)
    likelier = pooled.max(axis=1) > pooled[np.arange(ROWS), labels] + 1e-9
    assert ((found > 0.5 + 1e-9) == likelier).all()


@given(LABEL, OPINION, OPINION, SAYS, st.permutations(range(LABELS)), st.permutations(range(ROWS)))
def test_neither_the_order_of_labels_nor_of_rows_nor_of_opinions_matters(labels, one, two, says, names, order) -> None:
    found = doubt(labels, [one, two], says)
    place = np.argsort(names)
    renamed = doubt(place[labels], [one[:, names], two[:, names]], says)
    assert renamed == pytest.approx(found)
    assert doubt(labels[order], [two[order], one[order]], says[::-1]) == pytest.approx(found[order])


@given(LABEL, OPINION, st.floats(0, 1))
def test_who_gives_the_label_more_makes_it_less_doubtful(labels, one, share) -> None:
    agreeing = (1 - share) * one + share * np.eye(LABELS)[labels]
    assert (doubt(labels, [agreeing], [1]) <= doubt(labels, [one], [1]) + 1e-9).all()


def test_without_rows_there_is_no_doubt() -> None:
    assert doubt(np.empty(0, dtype=int), [np.empty((0, 3))], [1]).shape == (0,)
    nobody = np.empty(0, dtype=bool)
    assert reasons(np.empty(0, dtype=int), {"teacher": np.empty((0, 3))}, nobody, nobody).empty


def test_reasons_name_who_says_another_and_what_else_there_is() -> None:
    teacher = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    student = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]])
    found = reasons(
        np.array([0, 0, 0]),
        {"teacher": teacher, "student": student},
        np.array([False, True, False]),
        np.array([False, False, True]),
    )
    assert found.to_list() == [[], ["student", LIKELY_ERROR], [LOW_CONFIDENCE]]
