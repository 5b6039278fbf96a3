"""Tiny students and rows for them."""

from tests.students import encoders, label_names, loss_settings, reviews, sandbox, splits, train_settings  # noqa: F401
