"""Sensors of a fleet behind whose parameters an offset of zero or clock is, or may be since they changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.online.changes import Known, instead
from dyncal.identification.online.doubts import Doubt, Evidence, doubt
from dyncal.identification.online.fleet.adoption import adopt
from dyncal.identification.online.fleet.full_likelihood import Samples
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.shifts import u_bend, u_course
from dyncal.identification.online.snapshot import Array, ChangedSensor, FleetSnapshot
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.shift import Shift


class Suspicions:
    """What is suspected, and what was known before.

    Parameters
    ----------
    settings : tuple of OnlineSettings
        Of each of n sensors.
    dt_ns : int64, shape (n,)
        Nominal intervals [ns].
    """

    def __init__(self, settings: tuple[OnlineSettings, ...], dt_ns: Int64Array) -> None:
        self._settings, self._dt_ns = settings, dt_ns
        self._doubts: dict[int, Doubt] = {}
        self._before: dict[int, Known] = {}  # of sensors that have jumped
        self._instead: dict[int, Shift] = {}  # of these: what may be why

    @property
    def doubted(self) -> list[int]:
        """Sensors between which and their reference there is an offset."""
        return list(self._doubts)

    @property
    def watched(self) -> list[int]:
        """Sensors of which each block is to be judged."""
        return [*self._doubts, *self._before]

    def jumped(self, i: int, before: Known) -> None:
        """Note of a sensor that seems to have changed what was known; of changes in a row, before the first."""
        if i not in self._doubts:
            self._before.setdefault(i, before)

    def judge(self, i: int, now: Posterior, evidence: Evidence, samples: Samples, *, full: bool, settled: bool) -> bool:
        """Judge a sensor after a block; return whether it is doubted from now on.

        Parameters
        ----------
        i : int
        now : Posterior
        evidence : Evidence
            Of offsets.
        samples : tuple of arrays
            Of the block.
        full : bool
            Whether the sensor is followed by the full likelihood, which knows what a measurand does between samples.
        settled : bool
            Whether the samples since a jump have been fitted.
        """
        settings, dt_s, motion = self._settings[i], float(self._dt_ns[i]) / NS_PER_S, evidence.motion
        u_clock_s = u_course(motion, dt_s) if full else float(np.hypot(u_course(motion, dt_s), u_bend(motion, dt_s)))
        if settled and i in self._before:
            why = instead(self._before[i], now, evidence.weight, evidence.score, u_clock_s, settings)
            if why is not None:
                self._instead[i] = why
            else:
                self.drop(i)
        before = self._doubts.pop(i, None)
        found = doubt(before, now, evidence, u_clock_s, settings, *samples[1:])
        if found is not None:
            self._doubts[i] = found
        return before is None and found is not None

    def drop(self, i: int) -> None:
        """Forget what a sensor was before it changed."""
        self._before.pop(i, None)
        self._instead.pop(i, None)

    def trouble(self, i: int) -> str:
        """Return the offset that has been found; empty where there is none."""
        return self._doubts[i].words if i in self._doubts else ""

    def open_question(self, i: int, n: int) -> str:
        """Say what n samples since a jump do not tell; empty where a sensor has not changed, or certainly has."""
        if i not in self._before:
            return ""
        shift = self._instead.get(i)
        if shift is None:
            return f"the sensor or its plant has changed: {n} samples since do not tell which"
        what = f"the clocks by {abs(shift.value):.2g} s" if shift.clock else f"a zero by {abs(shift.value):.2g}"
        stated = "u_clock_s" if shift.clock else "u_reference"
        return f"{n} samples do not tell whether the sensor has changed or {what} (state {stated} if it may)"

    def adopt(self, k: int, other: Suspicions, i: int) -> None:
        """Suspect of sensor k what is suspected of sensor i of another fleet."""
        adopt(self._doubts, k, other._doubts, i)
        adopt(self._before, k, other._before, i)
        adopt(self._instead, k, other._instead, i)

    def pack(self) -> dict[str, Any]:
        """Return all of them as parts of a snapshot, by name."""
        return {
            "doubts": dict(sorted(self._doubts.items())),
            "changed": {
                i: ChangedSensor(Array.of(before.eta), Array.of(before.cov), self._instead.get(i))
                for i, before in sorted(self._before.items())
            },
        }

    def resume(self, found: FleetSnapshot) -> None:
        """Go on from a snapshot; raises ValueError where something is missing."""
        self._doubts = dict(found.doubts)
        self._before = {i: Known(each.eta.array(), each.cov.array()) for i, each in found.changed.items()}
        self._instead = {i: each.instead for i, each in found.changed.items() if each.instead is not None}
