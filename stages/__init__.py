"""Stages and commands, run as `python -m stages.<name>`, and the packages that they call."""

import sys

# `-m` stands there while Python looks for the module to run: for whoever imports one, signals stay what they are.
if sys.argv[:1] == ["-m"]:
    from stages.running.interruption import leave_at_once

    leave_at_once()
