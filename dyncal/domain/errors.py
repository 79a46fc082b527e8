"""The one tree of errors.

::

    DyncalError
    ├── InvalidInput            something from outside is not what it must be
    │   ├── MalformedMessage    a payload that cannot be read as the contract says
    │   ├── InvalidSetting      a configuration file or environment variable
    │   └── InvalidData         numbers that cannot be what they claim to be
    ├── RejectedSet             a coefficient set that must not be applied
    ├── Unavailable             a peer that is not there now; trying again may help
    │   ├── StoreUnavailable
    │   ├── SpoolUnavailable
    │   └── BusUnavailable
    │       └── PublishRefused
    ├── StoreRefused            the store answered, and the answer is no
    │   ├── StoreUnauthorized
    │   └── PoisonedWrite       part of the data can never be written
    └── Conflict                the caller's picture of the state is out of date
        ├── IllegalMove         a coefficient set cannot go from the state it is in to that one
        └── NotFound

A rejected *fit* is a value (`dyncal.domain.calibration.Verdict`), not an exception.
"""

from __future__ import annotations


class DyncalError(Exception):
    """Root of every error that dyncal raises on purpose."""


class InvalidInput(DyncalError):
    """Something from outside is not what it must be."""


class MalformedMessage(InvalidInput):
    """A payload cannot be read as its contract says."""


class InvalidSetting(InvalidInput):
    """A setting is unknown, missing or out of range; the text names file, key, value and what was expected."""


class InvalidData(InvalidInput):
    """Numbers contradict what they claim to be (shape, order, sign, finiteness)."""


class RejectedSet(DyncalError):
    """A coefficient set must not be applied.

    Parameters
    ----------
    reason : str
        A short machine-readable reason, such as ``"signature"`` or ``"pole_radius"``.
    detail : str
        What was found and what was expected, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unavailable(DyncalError):
    """A peer is not there now; trying again may help."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnavailable(Unavailable):
    """The time-series store or the registry cannot be reached, or asks to be left alone for a while."""


class SpoolUnavailable(Unavailable):
    """The disk of an edge's spool cannot be used now: it is mounted read-only, full, or fails."""


class BusUnavailable(Unavailable):
    """The message broker cannot be reached."""


class PublishRefused(BusUnavailable):
    """The broker is there, and does not take this message: others it may take."""


class StoreRefused(DyncalError):
    """The store answered, and the answer is no; trying the same again cannot help."""


class StoreUnauthorized(StoreRefused):
    """The store does not accept our credentials."""


class PoisonedWrite(StoreRefused):
    """Part of the data can never be written; `indices` are the positions of the offending blocks."""

    def __init__(self, message: str, indices: tuple[int, ...]) -> None:
        super().__init__(message)
        self.indices = indices


class Conflict(DyncalError):
    """The caller's picture of the state is out of date."""


class IllegalMove(Conflict):
    """A coefficient set cannot go from the state that it is in to that one."""


class NotFound(Conflict):
    """What was asked for does not exist."""
