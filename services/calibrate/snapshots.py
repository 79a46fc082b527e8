"""A tracker's state as bytes, and back."""

from __future__ import annotations

from dataclasses import astuple
from typing import Final

import msgspec
import numpy as np

from dyncal.contracts import codec
from dyncal.domain.alarms import Condition
from dyncal.domain.errors import InvalidData
from dyncal.drift.ledger import BlockLedger
from dyncal.drift.monitor import DriftMonitor
from dyncal.models import paired_model
from services.calibrate.contradiction import Contradiction
from services.calibrate.estimators import restored
from services.calibrate.release import InForce
from services.calibrate.tolerance import Baseline
from services.calibrate.tracker import Tracker

VERSION: Final = 2


class _InForce(msgspec.Struct, frozen=True):
    set_id: str
    cov: bytes
    corner_rad_s: float


class _Baseline(msgspec.Struct, frozen=True):
    calibration_id: str
    values: bytes
    cov: bytes


class _Snapshot(msgspec.Struct, frozen=True):
    v: int
    model: str
    names: tuple[str, ...]
    dt_ns: int
    reference: str
    upto_ns: int
    estimator: bytes
    monitor: bytes
    n_rejected: int
    attempted_ns: int
    in_force: _InForce | None = None
    baseline: _Baseline | None = None
    conditions: tuple[Condition, ...] | None = None
    ledger: bytes = b""
    waiting: _InForce | None = None
    contradiction: tuple[int, str, int | None] = (0, "", None)


def key_of(sensor: str) -> str:
    """Return the key of a sensor's snapshot."""
    return f"calibrate/{sensor}"


def take(tracker: Tracker) -> bytes | None:
    """Return the state of a tracker, or None before it has taken in anything."""
    upto_ns = tracker.aligner.last_ns
    if upto_ns is None:
        return None
    now, base, waiting = tracker.releases.in_force, tracker.baseline, tracker.releases.waiting
    return codec.pack(
        _Snapshot(
            v=VERSION,
            model=tracker.pairing.model,
            names=paired_model(tracker.pairing).names,
            dt_ns=tracker.sensor.dt_ns,
            reference=tracker.pairing.reference,
            upto_ns=upto_ns,
            estimator=tracker.estimator.snapshot(),
            monitor=tracker.monitor.snapshot(),
            n_rejected=tracker.adjuster.n_rejected,
            attempted_ns=tracker.adjuster.attempted_ns,
            ledger=tracker.causes.ledger.snapshot(),
            contradiction=astuple(tracker.contradiction),
            in_force=None if now is None else _packed(now),
            waiting=None if waiting is None else _packed(waiting.made),
            baseline=None
            if base is None
            else _Baseline(
                base.calibration_id, codec.array_to_bytes(base.values, "<f8"), codec.array_to_bytes(base.cov, "<f8")
            ),
            conditions=tracker.board.known(),
        )
    )


def put_back(tracker: Tracker, content: bytes) -> int:
    """Give a new tracker the state of `content`; return the instant up to which it had taken in samples.

    Raises
    ------
    InvalidInput
        If the state is damaged, of another version, or that of another pairing.
    """
    s = codec.unpack(content, _Snapshot)
    if s.v != VERSION:
        raise InvalidData(f"snapshot of version {s.v}; this program reads {VERSION}")
    pairing = tracker.pairing
    wanted = (pairing.model, paired_model(pairing).names, tracker.sensor.dt_ns, pairing.reference)
    if (s.model, s.names, s.dt_ns, s.reference) != wanted:
        raise InvalidData("the snapshot is of another model, interval or reference")
    try:
        # What the pairing and the file say now counts, not what they said when the snapshot was taken.
        estimator = restored(pairing, s.estimator)
        monitor = DriftMonitor.restore(s.monitor, tracker.monitor.settings)
        ledger = BlockLedger.restore(s.ledger) if s.ledger else tracker.causes.ledger
    except (ValueError, KeyError, TypeError, IndexError, msgspec.MsgspecError) as error:
        raise InvalidData(f"the snapshot is damaged: {error}") from error
    if ledger.p != len(tracker.causes.names):
        raise InvalidData(f"its blocks are of {ledger.p} parameters")
    tracker.estimator, tracker.monitor, tracker.causes.ledger = estimator, monitor, ledger
    tracker.contradiction = Contradiction(*s.contradiction)
    tracker.adjuster.n_rejected, tracker.adjuster.attempted_ns = s.n_rejected, s.attempted_ns
    now, waiting = tracker.releases.in_force, tracker.releases.waiting
    if s.in_force is not None and now is not None and now.coefficients.id == s.in_force.set_id:
        tracker.releases.in_force = _unpacked(now, s.in_force)
    if s.waiting is not None and waiting is not None and waiting.id == s.waiting.set_id:
        waiting.made = _unpacked(waiting.made, s.waiting)
    if s.baseline is not None:
        values = codec.array_from_bytes(s.baseline.values, "<f8", "baseline")
        tracker.baseline = Baseline(s.baseline.calibration_id, values, _square(s.baseline.cov))
    if s.conditions is not None:  # of an earlier version: those that the registry's alarms stand for
        tracker.board.restore(s.conditions)
    tracker.resume_after(s.upto_ns)
    return s.upto_ns


def _packed(found: InForce) -> _InForce:
    return _InForce(found.coefficients.id, codec.array_to_bytes(found.cov_statistical, "<f8"), found.corner_rad_s)


def _unpacked(known: InForce, packed: _InForce) -> InForce:
    return InForce(known.coefficients, _square(packed.cov), packed.corner_rad_s)


def _square(packed: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    values = codec.array_from_bytes(packed, "<f8", "covariance")
    n = round(values.size**0.5)
    if n * n != values.size:
        raise InvalidData("a covariance is not square")
    return values.reshape(n, n)
