"""How good answers are: scores, gains, calibration, errors."""
