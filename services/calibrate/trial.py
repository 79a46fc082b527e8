"""The trial of a set that runs at its edge beside the one in force, judged by the residuals that the edge tells.

Both are means over windows that do not overlap, on the same stream. The trial is passed after its time, with at least
`LEAST` windows of each, if the shadow's residual is normal (not above the limit that the set states) and not worse than
that of the set in force. It counts as worse where its mean square is significantly larger (F-distributed with the
numbers of windows as degrees of freedom; 0.1 %), by half or more in rms, and is no trifle: a tenth of its limit.
"""

from __future__ import annotations

import math
from typing import Final

from dyncal.domain.residuals import ResidualReport
from dyncal.domain.time import InstantNs, duration

LEAST: Final = 8
UNREAD: Final = ("malformed", "digest", "signature")
"""How faults begin that say of no set anything: whoever can publish may give nonsense the name of one."""

_SIGNIFICANCE: Final = 1e-3
_RATIO: Final = 1.5
_TRIFLE: Final = 0.1
_PATIENCE: Final = 4.0  # times its length, and
_LONGEST_WAIT_S: Final = 600.0  # more, within which the edge must have said something


class Residuals:
    """A mean square over all that was reported of one set."""

    def __init__(self) -> None:
        self._squares, self.n = 0.0, 0

    def add(self, found: ResidualReport) -> None:
        """Take in a report."""
        self._squares += found.rms * found.rms * found.n
        self.n += found.n

    @property
    def rms(self) -> float:
        """Root mean square; 0 without any."""
        return math.sqrt(self._squares / self.n) if self.n else 0.0


class Trial:
    """One trial, from when the set was sent to its edge.

    Parameters
    ----------
    set_id, in_force_id : str
        The set, and the one that it runs beside; '' where there is none.
    length_s : float
        Least time for which it runs [s].
    limit : float
        Largest residual that is normal, as the set says; 0: it says nothing.
    """

    def __init__(self, set_id: str, in_force_id: str, length_s: float, limit: float, now_ns: InstantNs) -> None:
        self.set_id, self._in_force_id = set_id, in_force_id
        self._length_ns, self._limit = duration(length_s), limit
        self._wait_ns = self._length_ns + duration(min((_PATIENCE - 1) * length_s + 60.0, _LONGEST_WAIT_S))
        self.begun_ns: InstantNs = now_ns
        self._first_ns: InstantNs | None = None
        self.shadow, self.active = Residuals(), Residuals()
        self.fault = ""

    @property
    def until_ns(self) -> InstantNs:
        """When it ends at the earliest."""
        return InstantNs((self._first_ns or self.begun_ns) + self._length_ns)

    def add(self, found: ResidualReport, now_ns: InstantNs) -> None:
        """Take in what the edge found of either set; of others nothing."""
        if found.shadow and found.set_id == self.set_id:
            self._first_ns = self._first_ns or now_ns
            self.shadow.add(found)
            if not found.fault.startswith(UNREAD):
                self.fault = self.fault or found.fault
        elif not found.shadow and found.set_id == self._in_force_id and self._first_ns is not None:
            self.active.add(found)

    def against(self, now_ns: InstantNs) -> str:
        """Return what speaks against the set for good; '' if nothing does so far."""
        if self.fault:
            return f"its edge ended the trial: {self.fault}"
        if now_ns < self.until_ns or self.shadow.n < LEAST:
            return ""
        if self._limit > 0 and self.shadow.rms > self._limit:
            return f"residual of {self.shadow.rms:.4g} rms beside the set in force, {self._limit:.4g} is its limit"
        if self._worse():
            return f"worse than the set in force: {self.shown()}"
        return ""

    def passed(self, now_ns: InstantNs) -> bool:
        """Tell whether it has run for its time, and nothing speaks against the set."""
        enough = self.shadow.n >= LEAST and (not self._in_force_id or self.active.n >= LEAST)
        return enough and now_ns >= self.until_ns and not self.against(now_ns)

    def silent(self, now_ns: InstantNs) -> bool:
        """Tell whether the edge has said too little for too long: nobody but a person can decide then."""
        return now_ns > self.begun_ns + self._wait_ns and not self.passed(now_ns)

    def _worse(self) -> bool:
        from scipy.special import fdtrc  # noqa: PLC0415 - a service that starts does not wait for it

        new, old = self.shadow, self.active
        if not self._in_force_id or old.n < LEAST or new.rms <= max(_RATIO * old.rms, _TRIFLE * self._limit):
            return False
        return old.rms <= 0 or bool(fdtrc(new.n, old.n, (new.rms / old.rms) ** 2) < _SIGNIFICANCE)

    def shown(self) -> str:
        """Return the figures for people."""
        beside = f", {self.active.rms:.4g} rms over {self.active.n} of the set in force" if self._in_force_id else ""
        return f"residual {self.shadow.rms:.4g} rms over {self.shadow.n} windows{beside}"
