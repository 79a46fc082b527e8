"""What a replay has brought about: sets, reports, alarms, how sensors stand, gaps, digests. JSON as it stands."""

from __future__ import annotations

from typing import Final

import msgspec

VERSION: Final = 2
"""Of the record: since 2, digests of samples are XXH3."""


class SetFound(msgspec.Struct, frozen=True):
    """A coefficient set that was made: parameters `values` with standard uncertainties `u`, in the order of `names`.

    `state` is where it stood in the end; `form` is ``"filter"`` or ``"smoother"``.
    """

    sensor: str
    id: str
    sequence: int
    state: str
    at_ns: int
    model: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    u: tuple[float, ...]
    form: str
    latency_ns: int
    band_hz: float
    note: str = ""


class Reported(msgspec.Struct, frozen=True):
    """What an edge did with a set: ``applied``, ``rejected`` or ``reverted``."""

    sensor: str
    set_id: str
    outcome: str
    at_ns: int
    reason: str = ""


class AlarmFound(msgspec.Struct, frozen=True):
    """A condition that calibration found to hold, or to hold no longer, from `at_ns` on: what alarms are made of."""

    source: str
    kind: str
    holds: bool
    at_ns: int
    parameter: str = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How a sensor stood from `at_ns` on: what the drift monitor says, and what has changed where that can be told."""

    sensor: str
    at_ns: int
    watch: str
    reason: str = ""
    parameter: str = ""
    change: float | None = None
    u_change: float | None = None
    cause: str = ""


class GapFound(msgspec.Struct, frozen=True):
    """Samples that could not be had between two instants."""

    sensor: str
    after_ns: int
    before_ns: int
    cause: str
    n_lost: int | None = None


class Noticed(msgspec.Struct, frozen=True):
    """What an edge gave notice of."""

    sensor: str
    kind: str
    at_ns: int
    detail: str = ""


class SamplesFound(msgspec.Struct, frozen=True):
    """How many samples of a channel were stored, and from when to when."""

    sensor: str
    n_raw: int
    n_corrected: int
    from_ns: int | None
    to_ns: int | None


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a replay; everything in it is in order of sensor, or of happening.

    Attributes
    ----------
    source : str
    from_ns, to_ns : int
        The simulated time that it covers.
    complete : bool
        False where it was broken off: all is true up to `to_ns`.
    settings : mapping
        What it was run with, as far as effects depend on it.
    digests : mapping of kind to mapping of sensor to str
        Hashes (128 bit) of what came of each sensor, by kind: ``sets``, ``reports``, ``alarms``, ``health``,
        ``residuals``, ``gaps``, ``stored`` and ``corrected``.
    digest : str
        That of all of them.
    """

    v: int = VERSION
    source: str
    from_ns: int
    to_ns: int
    complete: bool
    settings: dict[str, object]
    sets: tuple[SetFound, ...]
    reports: tuple[Reported, ...]
    alarms: tuple[AlarmFound, ...]
    standing: tuple[Standing, ...]
    gaps: tuple[GapFound, ...]
    notices: tuple[Noticed, ...]
    samples: tuple[SamplesFound, ...]
    n_quarantined: int
    digests: dict[str, dict[str, str]]
    digest: str


def without_sets(effects: Effects) -> list[Standing]:
    """Return how sensors that got no set stood at the end: why they did not, where calibration says so."""
    served = {made.sensor for made in effects.sets}
    last = {stands.sensor: stands for stands in effects.standing if stands.sensor not in served}
    return [last[sensor] for sensor in sorted(last)]
