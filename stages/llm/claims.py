"""Who is asking what: two runs at once ask each question once.

A claim belongs to a process. Whoever wants a question that is claimed waits for its answer, and takes the claim over
when the owner is dead: at once on the same machine, where that can be seen, elsewhere when its lease has run out.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from stages.common.database import KEYS_AT_A_TIME, Database

TABLE = {"claims": "key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL"}
# Seconds that a claim holds for those who cannot see whether its owner lives: more than any engine takes to start.
LEASE = 1800.0
# Seconds from which on an owner who goes on answering makes its lease longer.
RENEWED_AFTER = 60.0


class Claims:
    """The claims in a database, for this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._me = owner(os.getpid())
        self._renewed = 0.0

    def take(self, keys: Sequence[str]) -> list[str]:
        """Claim what of `keys` no other living process has; return it, in order."""
        now = time.time()
        taken: list[str] = []
        for start in range(0, len(keys), KEYS_AT_A_TIME):
            part = keys[start : start + KEYS_AT_A_TIME]
            with self._database.transaction():
                places = ", ".join("?" * len(part))
                rows = self._database.execute(f"SELECT owner, until, key FROM claims WHERE key IN ({places})", part)
                others = {(who, until) for who, until, _ in rows if who != self._me}
                held = {claim for claim in others if is_held(*claim, now)}
                gone = {key for who, until, key in rows if (who, until) in held}
                free = [key for key in part if key not in gone]
                mine = [(key, self._me, now + LEASE) for key in free]
                self._database.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", mine)
            taken += free
        self._renewed = now
        return taken

    def renew(self) -> None:
        """Tell the others that this process still works, once a minute at most."""
        now = time.time()
        if now - self._renewed > RENEWED_AFTER:
            self._database.execute("UPDATE claims SET until = ? WHERE owner = ?", [now + LEASE, self._me])
            self._renewed = now

    def release(self) -> None:
        """Give up whatever this process has claimed and nobody has answered."""
        self._database.execute("DELETE FROM claims WHERE owner = ?", [self._me])

    def remove_dead(self) -> int:
        """Remove the claims of those who are dead; return their number."""
        now = time.time()
        rows = self._database.execute("SELECT DISTINCT owner, until FROM claims")
        dead = [(who, until) for who, until in rows if not is_held(who, until, now)]
        with self._database.transaction():
            before = self._count()
            self._database.executemany("DELETE FROM claims WHERE owner = ? AND until = ?", dead)
            return before - self._count()

    def _count(self) -> int:
        return int(self._database.execute("SELECT COUNT(*) FROM claims")[0][0])


def owner(pid: int) -> str:
    """The process as others know it: place, boot, process id and start, by which no other process is ever called."""
    return "/".join([_place(), *_life(pid)])


def is_held(who: str, until: float, now: float) -> bool:
    """Whether the claim of the owner `who`, leased `until` (seconds since 1970), holds at the time `now`."""
    place, boot, pid, started = who.rsplit("/", 3)
    if place != _place():
        return until > now
    return (boot, pid, started) == _life(int(pid))


@cache
def _place() -> str:
    """This machine, or this container of it: within, a process is known by its id."""
    return f"{platform.node()}/{os.stat('/proc/self/ns/pid').st_ino}"


def _life(pid: int) -> tuple[str, str, str]:
    """Boot, id and start of a process; the start (clock ticks since the boot) is empty where it is dead."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    try:
        # Fields 3 and 22 of proc_pid_stat(5); the second, the name in brackets, may hold spaces.
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return boot, str(pid), ""
    return boot, str(pid), "" if state in "ZX" else fields[18]
