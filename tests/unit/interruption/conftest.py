"""Tiny students and rows for them."""

from tests.students import encoders, label_names, loss_settings, splits, train_settings  # noqa: F401
