"""Where a training row comes from. The one list of it: dvc.yaml reads this file too, and trains a student for each.

Students are cumulative: the one called `base` learns from real, written and base rows, the last one from all.
"""

from __future__ import annotations

# `written` rows are the seeds of the vocabulary; `human` ones are real, with a label that a person gave; those after it
# are steps of the synthesis, each upon the one before. DVC takes literals alone.
PROVENANCES = ["real", "written", "human", "base", "paraphrase", "style"]
FINAL = "style"

REAL = PROVENANCES[0]
HUMAN = PROVENANCES[2]
SYNTHETIC_STEPS = PROVENANCES[3:]
