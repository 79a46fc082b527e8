"""A set that runs beside the one in force, on the same stream: its values go nowhere, what is found of them is told.

It costs what one more correction costs, and no more than one runs for a sensor. Whatever goes wrong in it ends it, and
nothing else: the set in force knows nothing of it.
"""

from __future__ import annotations

import numpy as np

from dyncal.correction.forms import corrector_of
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.errors import InvalidData, RejectedSet
from dyncal.domain.quality import UInt32Array
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import CorrectedSpan, FloatArray
from dyncal.domain.time import DurationNs, Int64Array
from edge_agent.history import History
from edge_agent.monitors import monitor_of
from edge_agent.tally import Tally


class Shadow:
    """Runs one set. Raises `RejectedSet` when it is made, if it cannot run."""

    def __init__(self, coefficients: CoefficientSet, history: History, u_t_ns: DurationNs) -> None:
        self.coefficients = coefficients
        self.fault = ""
        self._history, self._u_t_ns = history, u_t_ns
        self._difference = Tally()
        self._told_fault = False
        self._start()

    def _start(self) -> None:
        c = self.coefficients
        try:
            self._corrector = corrector_of(c.correction, c.parameters, c.id)
            t_ns, raw, codes = self._history.newest(self._corrector.history_length)
            if t_ns.size:
                self._corrector.prime(t_ns, raw, codes, self._u_t_ns, emitted_to_ns=None)
        except (InvalidData, FloatingPointError) as error:
            raise RejectedSet("corrector", str(error)) from error
        self._monitor = monitor_of(c, self._corrector)

    def interrupted(self) -> None:
        """Begin anew after the clock stepped back."""
        try:
            self._start()
        except RejectedSet as error:
            self.fault = str(error)

    def run(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, in_force: CorrectedSpan | None) -> None:
        """Take a block that is in the history already, and what the set in force made of it. Never raises."""
        if self.fault:
            return
        try:
            span = self._corrector.process(t_ns, raw, codes, self._u_t_ns)
            if span is None:
                return
            at, known = self._history.at(span.axis.t_ns)
            self.fault = self._monitor.update(span.value, np.where(quality.is_bad(known), np.nan, at))
            if in_force is not None:
                self._compare(span, in_force)
        except (InvalidData, FloatingPointError) as error:
            self.fault = f"the corrector failed: {error}"

    def _compare(self, span: CorrectedSpan, in_force: CorrectedSpan) -> None:
        _, here, there = np.intersect1d(span.axis.t_ns, in_force.axis.t_ns, assume_unique=True, return_indices=True)
        d = span.value[here] - in_force.value[there]
        d = d[np.isfinite(d)]
        if d.size:
            self._difference.add(float(d @ d), d.size)

    def report(self) -> ResidualReport | None:
        """Return what is new since the last time; None where nothing is."""
        rms, n = self._monitor.tally.take()
        difference, n_compared = self._difference.take()
        if not n and not n_compared and (not self.fault or self._told_fault):
            return None
        self._told_fault = bool(self.fault)
        c = self.coefficients
        return ResidualReport(
            c.sensor, c.id, rms, c.residual_limit, n, shadow=True,
            difference=difference if n_compared else None, fault=self.fault,
        )  # fmt: skip
