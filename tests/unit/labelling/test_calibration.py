import numpy as np
import pytest

from stages.labelling.calibration import batch_prior, calibrate


def test_calibration_by_hand():
    # 0.6/0.8 : 0.4/0.2 = 0.75 : 2 -> 3/11 : 8/11
    calibrated = calibrate(np.array([[0.6, 0.4]]), np.array([0.8, 0.2]), 1.0)
    assert calibrated[0] == pytest.approx([3 / 11, 8 / 11])


def test_strength_zero_changes_nothing_and_batch_prior_is_the_mean():
    rows = np.array([[0.6, 0.4], [0.2, 0.8]])
    assert batch_prior(rows) == pytest.approx([0.4, 0.6])
    assert calibrate(rows, batch_prior(rows), 0.0) == pytest.approx(rows)
