"""Drift: two-sided CUSUMs on recursive residuals of block estimates."""

from __future__ import annotations

import enum
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.drift.arl import decision_interval
from dyncal.drift.baseline import Baseline, BlockEvidence, block_estimate, invert, whitened
from dyncal.drift.chart import Chart, Side
from dyncal.drift.settings import DriftSettings

_YOUNG = 30  # blocks up to which everything goes into the baseline: leaving some out would correlate the scores
_USELESS_U = 0.5  # a block that knows a parameter less well than this, relative, says nothing of it


class DriftState(enum.StrEnum):
    """What can be said of a sensor."""

    LEARNING = "learning"
    IN_CONTROL = "in_control"
    DRIFT = "drift"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class DriftStatus:
    """What the monitor says after a block.

    Attributes
    ----------
    state : DriftState
    parameter : str
        The parameter furthest towards its limit.
    statistic, limit : float
        Its CUSUM and the decision interval h.
    change, u_change : float
        Estimated change of the parameter since the baseline, relative, and its standard uncertainty; NaN unless known.
    since_ns : int
        Instant since when the state (for drift: the change) stands.
    """

    state: DriftState
    parameter: str
    statistic: float
    limit: float
    change: float
    u_change: float
    since_ns: int


class DriftMonitor:
    """Judge a sensor's blocks against a baseline.

    Each informative block has its own estimate θ̂_b with covariance V_b (`BlockEvidence`). The baseline θ̄, covariance P,
    is the information-weighted mean of the training blocks, frozen when there are enough. The recursive residuals::

        z_b = R^-1/2 D^-1 (θ̂_b - θ̄),      V_b + P = D R D

    are independent and standard normal while nothing changes, also while the baseline is young (docs/metrology.md),
    unlike the sequence of estimates that an online estimator gives; that of each parameter keeps its meaning, as the
    root of the correlations R is the symmetric one. Each parameter has a two-sided CUSUM of its z with
    k = shift/2, h being found from `arl0_blocks`, split evenly over parameters and directions. A block that is idle or
    rejected decides nothing.

    Parameters
    ----------
    names : tuple of str
        Parameters, in the order of the blocks' vectors.
    settings : DriftSettings, optional
    """

    def __init__(self, names: tuple[str, ...], settings: DriftSettings | None = None) -> None:
        if not names:
            raise InvalidData("a drift monitor needs at least one parameter")
        self.names = names
        self.settings = settings or DriftSettings()
        self._k = self.settings.shift / 2
        self._limit = decision_interval(2.0 * len(names) * self.settings.arl0_blocks, self._k)
        self._baseline = Baseline.empty(len(names))
        self._charts = [Chart() for _ in names]
        self._state = DriftState.LEARNING
        self._since_ns: int | None = None
        self._informed_ns: int | None = None

    def rebaseline(self, theta: FloatArray | None = None, cov: FloatArray | None = None) -> None:
        """Begin anew: a calibration was accepted, and it is the normal from now on.

        With θ (p,) and its covariance (p, p) the baseline is those, and nothing has to be learnt; without, it is learnt
        from the next blocks.

        Raises
        ------
        InvalidData
            If θ is not finite or the covariance not positive definite; the monitor is then unchanged.
        """
        p = len(self.names)
        baseline = Baseline.empty(p)
        if theta is not None and cov is not None:
            information = invert(np.asarray(cov, dtype=np.float64)) if np.shape(cov) == (p, p) else None
            if information is None or np.shape(theta) != (p,) or not bool(np.all(np.isfinite(theta))):
                raise InvalidData(f"a baseline needs {p} finite parameters and their positive definite covariance")
            baseline = Baseline(information, information @ theta, self.settings.learning_blocks)
        self._baseline = baseline
        self._charts = [Chart() for _ in self.names]
        self._state, self._since_ns = DriftState.LEARNING, None

    def reset_charts(self) -> None:
        """Let all charts begin at rest again; the baseline stays what it is."""
        self._charts = [replace(chart, up=Side(), down=Side(), latched=False) for chart in self._charts]

    def update(self, outcome: BlockEvidence) -> DriftStatus:
        """Take in a block and say how things stand.

        Raises
        ------
        InvalidData
            If the block is about another number of parameters.
        """
        p = len(self.names)
        if outcome.score.shape != (p,) or outcome.information.shape != (p, p) or outcome.theta.shape != (p,):
            raise InvalidData(f"a block with a score of {outcome.score.shape} does not speak of {self.names}")
        if self._since_ns is None:
            self._since_ns = outcome.to_ns
        if self._informed_ns is None:
            self._informed_ns = outcome.to_ns
        own = block_estimate(outcome) if outcome.excited and not outcome.rejected else None
        if own is not None:
            self._judge(own[0], own[1], outcome)
            self._informed_ns = outcome.to_ns
        return self._status(outcome.to_ns, self._informed_ns)

    def _judge(self, theta: FloatArray, cov: FloatArray, block: BlockEvidence) -> None:
        before = self._baseline.mean()
        training = self._baseline.n < self.settings.training_blocks
        if before is not None and self._baseline.n >= 2:
            scores = whitened(theta - before[0], cov + before[1])
            for i in range(len(self.names)):
                self._charts[i] = self._charted(i, float(scores[i]), theta, cov, before, block.to_ns, training)
        # what is beyond a limit is not taken for normal; leaving out any sooner would correlate the scores
        quiet = all(chart.worst.value <= self._limit and not chart.latched for chart in self._charts)
        if training and (quiet or self._baseline.n < max(self.settings.learning_blocks, _YOUNG)):
            self._baseline = self._baseline.with_block(theta, block.information)

    def _charted(
        self,
        i: int,
        raw: float,
        theta: FloatArray,
        cov: FloatArray,
        before: tuple[FloatArray, FloatArray],
        at_ns: int,
        training: bool,
    ) -> Chart:
        chart, mean = self._charts[i], before[0]
        if not math.sqrt(cov[i, i]) <= _USELESS_U * max(abs(mean[i]), 1e-300):
            return chart
        deviation = float(theta[i] - mean[i])
        score, variance = raw / chart.scale, float(cov[i, i])
        cap = 2 * self._limit
        up = chart.up.after(score, self._k, cap, deviation, variance, at_ns)
        down = chart.down.after(-score, self._k, cap, deviation, variance, at_ns)
        chart = replace(chart.learnt(raw) if training else chart, up=up, down=down)
        change, _ = chart.worst.change(0.0)
        least = self.settings.minimum_of(self.names[i])
        raised = chart.worst.value > self._limit and abs(change) >= least * abs(float(mean[i]))
        held = chart.latched and chart.worst.value > self._limit / 2
        return replace(chart, latched=raised or held)

    def _status(self, now_ns: int, informed_ns: int) -> DriftStatus:
        latched = [i for i, chart in enumerate(self._charts) if chart.latched]
        among = latched or range(len(self.names))
        worst = max(among, key=lambda i: self._charts[i].worst.value)
        chart = self._charts[worst]
        state, since = self._next(bool(latched), chart, now_ns, informed_ns)
        change, u_change = self._change(worst)
        return DriftStatus(state, self.names[worst], chart.worst.value, self._limit, change, u_change, since)

    def _next(self, drifting: bool, chart: Chart, now_ns: int, informed_ns: int) -> tuple[DriftState, int]:
        if drifting:
            state, since = DriftState.DRIFT, chart.worst.since_ns
        elif now_ns - informed_ns > self.settings.idle_after_s * 1e9:
            state, since = DriftState.CANNOT_TELL, informed_ns
        elif self._baseline.n < self.settings.learning_blocks:
            state, since = DriftState.LEARNING, now_ns
        else:
            state, since = DriftState.IN_CONTROL, now_ns
        if state is not self._state or self._since_ns is None:
            self._state, self._since_ns = state, since
        return state, self._since_ns

    def _change(self, i: int) -> tuple[float, float]:
        before = self._baseline.mean()
        if before is None or before[0][i] == 0:
            return float("nan"), float("nan")
        change, u = self._charts[i].worst.change(float(before[1][i, i]))
        size = abs(float(before[0][i]))
        return change / size, u / size

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        state = _Snapshot(
            names=self.names,
            settings=asdict(self.settings),
            information=self._baseline.information.tolist(),
            vector=self._baseline.vector.tolist(),
            n=self._baseline.n,
            charts=self._charts,
            state=self._state,
            since_ns=self._since_ns,
            informed_ns=self._informed_ns,
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def restore(cls, data: bytes, settings: DriftSettings | None = None) -> DriftMonitor:
        """Return the monitor that `snapshot` wrote; raise `InvalidData` if it cannot be read.

        With `settings`, these instead of its own hold from now on.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_Snapshot)
            monitor = cls(state.names, settings or _settings(state.settings))
        except (msgspec.MsgspecError, TypeError) as error:
            raise InvalidData(f"this is no snapshot of a drift monitor: {error}") from error
        p = len(state.names)
        information, vector = np.array(state.information), np.array(state.vector)
        if information.shape != (p, p) or vector.shape != (p,) or len(state.charts) != p:
            raise InvalidData("this snapshot of a drift monitor contradicts itself")
        monitor._baseline = Baseline(information, vector, state.n)
        monitor._charts = state.charts
        monitor._state, monitor._since_ns = state.state, state.since_ns
        monitor._informed_ns = state.informed_ns
        return monitor


def _settings(plain: dict[str, Any]) -> DriftSettings:
    changes = tuple((str(name), float(value)) for name, value in plain.pop("minimum_changes", ()))
    return DriftSettings(**plain, minimum_changes=changes)


class _Snapshot(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    settings: dict[str, Any]
    information: list[list[float]]
    vector: list[float]
    n: int
    charts: list[Chart]
    state: DriftState
    since_ns: int | None
    informed_ns: int | None
    version: int = 1
