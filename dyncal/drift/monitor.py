"""Drift: generalised likelihood ratios on recursive residuals of block estimates."""

from __future__ import annotations

import enum
import math
from dataclasses import asdict, dataclass

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.drift import kernels, stored
from dyncal.drift.baseline import Baseline, BlockEvidence, invert
from dyncal.drift.change import Instant, Recent, instant, likeliest, sizes
from dyncal.drift.following import Block, Blocks, Standing, follow_on
from dyncal.drift.history import History, Learnt
from dyncal.drift.limit import CLIP, ENOUGH_BEFORE, decision_limit
from dyncal.drift.scatter import Scatter
from dyncal.drift.settings import DriftSettings
from dyncal.drift.spread import Spread

_RELATIVE = 10.0  # a change is not relative to what is less than a tenth of it


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
        Root of its likelihood ratio, less what its age asks for (`dyncal.drift.kernels.compare`), and the decision
        limit.
    change, u_change : float
        For drift, the change of the parameter against what was normal before, relative, and its standard uncertainty;
        else NaN, also where the parameter was hardly to be told from 0, or is more than tenfold now.
    since_ns : int
        Instant since when the state (for drift: the change) stands.
    early_ns, late_ns : int
        For drift, the 95 % interval of the instant of the change; else as `since_ns`.
    """

    state: DriftState
    parameter: str
    statistic: float
    limit: float
    change: float
    u_change: float
    since_ns: int
    early_ns: int
    late_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A drift that stands: when it came, and the parameters since."""

    instant: Instant
    recent: Recent


class DriftMonitor:
    """Judge a sensor's blocks against those before.

    Each informative block has its own estimate θ̂_b with covariance V_b (`BlockEvidence`). The baseline θ̄, covariance P,
    is the information-weighted mean of all blocks so far. The recursive residuals::

        z_b = R^-1/2 D^-1 (θ̂_b - θ̄),      V_b + P = D R D

    are independent and normal while nothing changes (docs/metrology.md), unlike the sequence of estimates that an
    online estimator gives; that of each parameter keeps its meaning, as the root of the correlations R is the symmetric
    one (`dyncal.drift.kernels.judge`). How they scatter is learnt from them (`Scatter`), and every block after which a
    parameter may have changed is compared with all before it (`History`); the limit follows from `arl0_blocks` and from
    how differently much blocks say (`Spread`). A block that is idle or rejected decides nothing. A block beyond the
    clip is learnt from when the next one is there too.

    While a drift stands nothing is learnt: blocks are compared with what was normal before it.

    Parameters
    ----------
    names : tuple of str
        Parameters, in the order of the blocks' vectors.
    settings : DriftSettings, optional

    Attributes
    ----------
    notice : str
        Why the monitor could not go on from a snapshot and began anew; empty where nothing is to be said.
    """

    def __init__(self, names: tuple[str, ...], settings: DriftSettings | None = None) -> None:
        if not names:
            raise InvalidData("a drift monitor needs at least one parameter")
        self.names = names
        self.settings = settings or DriftSettings()
        self.notice = ""
        self._limit = decision_limit(self.settings.arl0_blocks, len(names))
        self.settings.check(names)
        self._least = np.array([self.settings.minimum_of(name) for name in names])
        self._scales = np.array([dict(self.settings.scales).get(name, 0.0) for name in names])
        self._evidence, self._judged = np.empty((2 + len(names), len(names))), np.empty((6, len(names)))
        self._spread = Spread.unknown(len(names))
        self._state = DriftState.LEARNING
        self._since_ns: int | None = None
        self._begun_ns: int | None = None
        self._informed_ns: int | None = None
        self._last_ns = 0
        self._begin(Learnt.nothing(len(names)))

    def _begin(self, learnt: Learnt) -> None:
        self._learnt = learnt
        self._held: Block | None = None
        self._history = History(learnt, self._last_ns)
        self._found: Found | None = None

    def rebaseline(self, theta: FloatArray | None = None, cov: FloatArray | None = None) -> None:
        """Begin anew: a calibration was accepted, and it is the normal from now on.

        With θ (p,) and its covariance (p, p) the baseline is those, and only the scatter has to be learnt; without, it
        is learnt from the next blocks.

        Raises
        ------
        InvalidData
            If θ is not finite or the covariance not positive definite; the monitor is then unchanged.
        """
        p = len(self.names)
        learnt = Learnt.nothing(p)
        if theta is not None and cov is not None:
            information = invert(np.asarray(cov, dtype=np.float64)) if np.shape(cov) == (p, p) else None
            if information is None or np.shape(theta) != (p,) or not bool(np.all(np.isfinite(theta))):
                raise InvalidData(f"a baseline needs {p} finite parameters and their positive definite covariance")
            baseline = Baseline(information, information @ theta, self.settings.learning_blocks)
            learnt = Learnt(baseline, Scatter.empty(p))
        self._begin(learnt)
        self._state, self._since_ns = DriftState.LEARNING, None

    def reset_charts(self) -> None:
        """Look for changes from now on only; what was learnt stays."""
        self._begin(self._learnt)

    def update(self, outcome: BlockEvidence) -> DriftStatus:
        """Take in a block and say how things stand. The last block once more decides nothing.

        Raises
        ------
        InvalidData
            If the block is about another number of parameters.
        """
        p = len(self.names)
        if outcome.score.shape != (p,) or outcome.information.shape != (p, p) or outcome.theta.shape != (p,):
            raise InvalidData(f"a block with a score of {outcome.score.shape} does not speak of {self.names}")
        self._since_ns = self._since_ns or outcome.to_ns
        self._begun_ns = self._begun_ns or outcome.to_ns
        new = outcome.to_ns != self._last_ns  # a clock that was put back must not silence the monitor
        self._last_ns = outcome.to_ns
        if new and outcome.excited and not outcome.rejected:
            self._judge(outcome)
        return self._status(outcome.to_ns, self._informed_ns or self._begun_ns)

    def advance(self, blocks: Blocks) -> tuple[int, DriftStatus]:
        """Take in informative blocks until one changes what is said; return how many, and how things stand after them.

        At least one; all of them where nothing changes. `update` of each says the same, to rounding.

        Raises
        ------
        InvalidData
            If the blocks are about another number of parameters.
        """
        if blocks.evidence.shape[2] != len(self.names):
            raise InvalidData(f"blocks of {blocks.evidence.shape[2]} parameters do not speak of {self.names}")
        settled = self._state is DriftState.IN_CONTROL and self._found is None
        n = self._follow_on(blocks) if settled and self._learnt.baseline.n >= self.settings.learning_blocks else 0
        return (n, self._status(self._last_ns, self._last_ns)) if n else (1, self.update(blocks.each[0]))

    def _follow_on(self, blocks: Blocks) -> int:
        """Take in blocks as long as they are like those before; return how many."""
        before = Standing(self._learnt, self._spread, self._held)
        n, beyond, after = follow_on(before, self._history, blocks, self._last_ns, self._limit, self._scales)
        if n:
            self._last_ns = self._informed_ns = int(blocks.to_ns[n - 1])
            self._learnt, self._spread, self._held = after.learnt, after.spread, after.held
        if beyond:
            self._look()
        return n

    @property
    def informed_ns(self) -> int | None:
        """Last instant of the newest block that said anything; None before the first."""
        return self._informed_ns

    def stands(self, now_ns: int) -> tuple[DriftState, int | None]:
        """Return the state as it is at `now_ns`, also where no block has come for long, and since when it stands.

        The instant is None where no block ever came: nothing can be told, and nothing ever could.
        """
        heard_ns = self._informed_ns or self._begun_ns
        if self._found is not None:
            return DriftState.DRIFT, self._found.instant.likely_ns
        if heard_ns is None or now_ns - heard_ns > self.settings.idle_after_s * 1e9:
            return DriftState.CANNOT_TELL, heard_ns
        if self._state is DriftState.CANNOT_TELL:  # a block that was told of later than it says
            return DriftState.CANNOT_TELL, self._since_ns
        return self._state, self._since_ns

    def _judge(self, outcome: BlockEvidence) -> None:
        evidence, learnt = self._evidence, self._learnt
        evidence[0], evidence[1], evidence[2:] = outcome.theta, outcome.score, outcome.information
        baseline, scatter, out = learnt.baseline, learnt.scatter, self._judged
        found = kernels.judge(
            evidence, baseline.vector, baseline.information, scatter.squares, scatter.n, self._scales, out
        )
        if found == kernels.NOTHING:
            return
        self._informed_ns = outcome.to_ns
        self._spread.add(out[5].copy())
        self._limit = decision_limit(self.settings.arl0_blocks, len(self.names), self._spread.rounded)
        theta, information = out[0].copy(), evidence[2:].copy()
        if self._found is not None:
            self._follow(self._found, theta, information)
            return
        if found == kernels.ALONE or baseline.n < ENOUGH_BEFORE:
            out[1:5] = 0.0
        self._take_in(Block(theta, information, out[1].copy(), out[2] > 0), wild=bool(abs(out[3]).max() >= CLIP))
        self._history.add(out[4], out[3], self._learnt, outcome.to_ns)
        self._look()

    def _take_in(self, block: Block, *, wild: bool) -> None:
        """Learn from a block; hold back a wild one until the next shows whether it stands alone."""
        held, self._held = self._held, None
        if wild and held is None:
            self._held = block
            return
        if wild and held is not None:
            self._learn(held)
        self._learn(block)

    def _learn(self, block: Block) -> None:
        baseline, scatter = self._learnt.baseline, self._learnt.scatter
        self._learnt = Learnt(
            baseline.with_block(block.theta, block.information), scatter.with_residuals(block.residuals, block.used)
        )

    def _look(self) -> None:
        """Look for a change; where there is one, what was learnt since is taken back."""
        history = self._history
        if history.worst()[1] <= self._limit:
            return
        likely = likeliest(history, self._learnt, self._limit, self._least, self._scales)
        if likely is None:
            return
        before = history.learnt(likely.k)
        recent = Recent.between(history.learnt(likely.since).baseline, self._learnt.baseline)
        self._found = Found(instant(history, likely.k, likely.parameter), recent)
        self._learnt, self._held = before, None

    def _follow(self, found: Found, theta: FloatArray, information: FloatArray) -> None:
        """Look whether a drift still stands; where not, begin again from what was normal before it."""
        recent = found.recent.with_block(theta, information)
        deviation, u = recent.against(self._learnt)
        if bool(np.any(np.abs(deviation) > self._limit / 2 * u)):
            self._found = Found(found.instant, recent)
        else:
            self._begin(self._learnt)

    def _status(self, now_ns: int, informed_ns: int) -> DriftStatus:
        state, when = self._next(now_ns, informed_ns)
        if self._found is None:
            i, statistic, change, u_change = *self._history.worst(), math.nan, math.nan
        else:
            i, statistic, change, u_change = self._found_now(self._found)
        instants = when.likely_ns, when.early_ns, when.late_ns
        return DriftStatus(state, self.names[i], statistic, self._limit, change, u_change, *instants)

    def _found_now(self, found: Found) -> tuple[int, float, float, float]:
        """Return parameter, statistic, change and its u: of the parameters that have moved enough, the clearest."""
        deviation, u = found.recent.against(self._learnt)
        ratios = np.nan_to_num(np.abs(deviation) / u)
        size = sizes(self._learnt, self._scales)
        enough = np.abs(deviation) >= np.nan_to_num(self._least * size)
        i = int(np.argmax(np.where(enough, ratios, -1 / (1 + ratios))))
        if not abs(deviation[i]) < _RELATIVE * size[i]:
            return i, float(ratios[i]), math.nan, math.nan
        return i, float(ratios[i]), float(deviation[i] / size[i]), float(u[i] / size[i])

    def _next(self, now_ns: int, informed_ns: int) -> tuple[DriftState, Instant]:
        if self._found is not None:
            state, when = DriftState.DRIFT, self._found.instant
        elif now_ns - informed_ns > self.settings.idle_after_s * 1e9:
            state, when = DriftState.CANNOT_TELL, Instant(informed_ns, informed_ns, informed_ns)
        elif self._learnt.baseline.n < self.settings.learning_blocks:
            state, when = DriftState.LEARNING, Instant(now_ns, now_ns, now_ns)
        else:
            state, when = DriftState.IN_CONTROL, Instant(now_ns, now_ns, now_ns)
        if state is not self._state or self._since_ns is None:
            self._state, self._since_ns = state, when.likely_ns
        if state is DriftState.DRIFT:
            return state, when
        return state, Instant(self._since_ns, self._since_ns, self._since_ns)

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        held, found, spread = self._held, self._found, self._spread
        state = stored.Stored(
            names=self.names,
            settings=asdict(self.settings),
            state=self._state,
            since_ns=self._since_ns,
            informed_ns=self._informed_ns,
            begun_ns=self._begun_ns,
            last_ns=self._last_ns,
            learnt=stored.pack_learnt(self._learnt),
            history=self._history.pack(),
            held=None
            if held is None
            else stored.pack(held.theta, held.information, held.residuals, held.used.astype(np.float64)),
            found=None if found is None else (found.instant, stored.pack_recent(found.recent)),
            spread=(spread.n, spread.variance, spread.last.tolist()) if spread.n else None,
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def restore(cls, data: bytes, settings: DriftSettings | None = None) -> DriftMonitor:
        """Return the monitor that `snapshot` wrote, or one that begins anew where another version wrote it.

        What an older version knew was made by other rules, so that it is not carried on; `notice` says so.

        Parameters
        ----------
        data : bytes
        settings : DriftSettings, optional
            These instead of the snapshot's own hold from now on.

        Raises
        ------
        InvalidData
            If it cannot be read.
        """
        found = stored.decode(data)
        try:
            if isinstance(found, stored.Header):
                monitor = cls(found.names, settings)
                monitor.notice = f"a snapshot of version {found.version}; this one reads {stored.VERSION}: begun anew"
                return monitor
            monitor = cls(found.names, settings or stored.settings_of(found.settings))
            monitor._resume(found)
        except (TypeError, ValueError) as error:
            raise InvalidData(f"this snapshot of a drift monitor contradicts itself: {error}") from error
        return monitor

    def _resume(self, found: stored.Stored) -> None:
        p = len(self.names)
        self._state, self._since_ns = DriftState(found.state), found.since_ns
        self._informed_ns, self._last_ns = found.informed_ns, found.last_ns
        self._begun_ns = found.begun_ns or found.informed_ns
        self._learnt = stored.unpack_learnt(p, found.learnt)
        self._history = History.unpack(self._learnt, found.history)
        if found.spread is not None:
            self._spread = stored.unpack_spread(p, found.spread)
            self._limit = decision_limit(self.settings.arl0_blocks, p, self._spread.rounded)
        if found.held is not None:
            theta, information, residuals, used = stored.unpack(found.held, (p,), (p, p), (p,), (p,))
            self._held = Block(theta, information, residuals, used > 0)
        if found.found is not None:
            self._found = Found(found.found[0], stored.unpack_recent(p, found.found[1]))
