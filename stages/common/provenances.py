"""Where a training row comes from. The one list of it: dvc.yaml reads this file too, and trains a student for each.

Students are cumulative: the one called `base` learns from real, written and base rows, the last one from all.
"""

from __future__ import annotations

# `written` rows are the seeds of the vocabulary; those after it are steps of the synthesis, each upon the one before.
# DVC takes literals alone.
PROVENANCES = ["real", "written", "base", "paraphrase", "style"]
FINAL = "style"

REAL = PROVENANCES[0]
SYNTHETIC_STEPS = PROVENANCES[2:]
