"""Scores: what a system made of a simulated plant, against the truth. Pure; used by the demo and by tests.

The error of raw and of corrected indications is taken at the same instants: those from the first applied set on (plus
what the filter needs to fill its window) at which there is a corrected value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array
from simulators.scenarios.scenario import Conclusion

MIN_COVERED: Final = 0.95
"""Least share of the instants after the first set that must carry a corrected value."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What a store holds of one channel, beside what the simulator made.

    Attributes
    ----------
    t_ns : int64, shape (n,)
    raw, corrected, u : float64, shape (n,)
        NaN where there is none.
    made_t_ns : int64, shape (m,)
        Instants that the simulator published.
    made : float64, shape (m,)
        The values it published.
    """

    t_ns: Int64Array
    raw: FloatArray
    corrected: FloatArray
    u: FloatArray
    made_t_ns: Int64Array
    made: FloatArray


@dataclass(frozen=True, slots=True)
class Delivery:
    """How completely a channel arrived.

    Attributes
    ----------
    n_made : int
        Samples published from the first that was stored on: the edge cannot have what came before it subscribed.
    n_before : int
        Samples published before.
    n_missing, n_wrong, n_foreign : int
        Published and not stored; stored with another value; stored and never published.
    """

    channel: str
    n_made: int
    n_before: int
    n_missing: int
    n_wrong: int
    n_foreign: int

    @property
    def complete(self) -> bool:
        """True if all that was published is stored as it was published, and nothing else."""
        return self.n_made > 0 and not (self.n_missing or self.n_wrong or self.n_foreign)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything about one sensor that a score needs.

    Attributes
    ----------
    truth : float64, shape (n,)
        The measurand at the instants of `sensor.t_ns`.
    applied_ns : int, optional
        Instant at which the edge, by its own report, applied the first set.
    n_applied : int
        Sets that the edge reported as applied.
    settle_ns : int
        What the filter's window needs after that.
    end_ns : int
        Last instant at which a corrected value can be expected.
    drift_from_ns : int, optional
        When the sensor began to drift, if it does.
    drift_alarms_ns : instants of drift alarms
    last_sequence, committed : int
        Last record that the edge numbered, and the watermark of what is in the store, of sensor and reference.
    """

    id: str
    conclusion: Conclusion
    min_gain: float
    sensor: Stored
    reference: Stored
    truth: FloatArray
    applied_ns: InstantNs | None
    n_applied: int
    settle_ns: DurationNs
    end_ns: InstantNs
    drift_from_ns: InstantNs | None
    drift_alarms_ns: Sequence[InstantNs]
    last_sequence: tuple[int, int]
    committed: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SensorScore:
    """The figures of one sensor, and the checks that failed, by name.

    Attributes
    ----------
    rms_raw, rms_corrected : float, optional
        Against the truth, in the sensor's unit.
    gain : float, optional
        Their ratio.
    covered : float, optional
        Share of the instants after the first set that carry a corrected value.
    within_2u : float, optional
        Share of corrected values within two standard uncertainties of the truth.
    """

    id: str
    n_sets: int
    n_scored: int
    rms_raw: float | None
    rms_corrected: float | None
    gain: float | None
    covered: float | None
    within_2u: float | None
    n_drift_alarms: int
    drift_delay_s: float | None
    blocks: tuple[int, int]
    blocks_committed: tuple[int, int]
    deliveries: tuple[Delivery, Delivery]
    failed: tuple[str, ...] = field(default=())


def delivery(channel: str, stored: Stored) -> Delivery:
    """Compare what was published with what is stored; rows without a raw value are not samples."""
    has = np.isfinite(stored.raw)
    t_ns, raw = stored.t_ns[has], stored.raw[has]
    if t_ns.size == 0:
        return Delivery(channel, 0, int(stored.made_t_ns.size), 0, 0, 0)
    due = stored.made_t_ns >= t_ns[0]
    made_t_ns, made = stored.made_t_ns[due], stored.made[due]
    _, at_made, at_stored = np.intersect1d(made_t_ns, t_ns, assume_unique=True, return_indices=True)
    return Delivery(
        channel,
        n_made=int(made_t_ns.size),
        n_before=int(np.sum(~due)),
        n_missing=int(made_t_ns.size - at_made.size),
        n_wrong=int(np.sum(made[at_made] != raw[at_stored])),
        n_foreign=int(t_ns.size - at_stored.size),
    )


def score(evidence: Evidence) -> SensorScore:
    """Return the figures of one sensor and the checks that it fails."""
    e, s = evidence, evidence.sensor
    start = None if e.applied_ns is None else e.applied_ns + e.settle_ns
    expected = np.zeros(s.t_ns.size, dtype=np.bool_)
    if start is not None:
        expected = (s.t_ns >= start) & (s.t_ns <= e.end_ns) & np.isfinite(s.raw)
    use = expected & np.isfinite(s.corrected)
    n = int(np.sum(use))
    rms_raw = _rms(s.raw[use] - e.truth[use])
    rms_corrected = _rms(s.corrected[use] - e.truth[use])
    covered = n / int(np.sum(expected)) if np.any(expected) else None
    within = float(np.mean(np.abs(s.corrected[use] - e.truth[use]) <= 2 * s.u[use])) if n else None
    deliveries = (delivery(e.id, e.sensor), delivery(f"{e.id}-ref", e.reference))
    gain = rms_raw / rms_corrected if rms_raw is not None and rms_corrected else None
    true_alarms = [t for t in e.drift_alarms_ns if e.drift_from_ns is not None and t >= e.drift_from_ns]
    delay = (min(true_alarms) - e.drift_from_ns) / NS_PER_S if true_alarms and e.drift_from_ns is not None else None
    checks = {
        "set_applied": e.applied_ns is not None,
        "gain": gain is not None and gain >= e.min_gain,
        "corrected_covered": covered is not None and covered >= MIN_COVERED,
        "drift_alarm": e.conclusion != "drift" or bool(true_alarms),
        "no_false_drift_alarm": e.conclusion != "healthy" or not e.drift_alarms_ns,
        "blocks_stored": min(e.last_sequence) >= 0 and e.committed == e.last_sequence,
        "samples_stored": all(d.complete for d in deliveries),
    }
    return SensorScore(
        id=e.id,
        n_sets=e.n_applied,
        n_scored=n,
        rms_raw=rms_raw,
        rms_corrected=rms_corrected,
        gain=gain,
        covered=covered,
        within_2u=within,
        n_drift_alarms=len(e.drift_alarms_ns),
        drift_delay_s=delay,
        blocks=(e.last_sequence[0] + 1, e.last_sequence[1] + 1),
        blocks_committed=(e.committed[0] + 1, e.committed[1] + 1),
        deliveries=deliveries,
        failed=tuple(name for name, passed in checks.items() if not passed),
    )


def failures(scores: Sequence[SensorScore]) -> list[str]:
    """Return the failed checks of all sensors, as ``sensor: check``."""
    return [f"{score.id}: {name}" for score in scores for name in score.failed]


def _rms(errors: FloatArray) -> float | None:
    return float(np.sqrt(np.mean(errors**2))) if errors.size else None
