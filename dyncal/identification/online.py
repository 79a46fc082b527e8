"""Online identification: block-MAP in the innovations form (docs/metrology.md).

Samples gather until they say enough; the block is then fitted around what was known before (Levenberg-Marquardt on the
innovations), and its information is added. In symbols, for a block with innovations e(h), h = (η, κ)::

    minimise Σe²/σ² + (h - h̄)ᵀ L (h - h̄),   started from x̄ + s̄ᵀ(h - h̄);    L ← F(L) + ΣψψT/σ²

F forgets, direction by direction, no more than the block brings. A block without information moves nothing but the
state. A block that contradicts the past (D = bᵀ(A + APA)⁻¹b beyond its limit) makes the estimate begin anew with it.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import msgspec
import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification import report, start
from dyncal.identification.block import BlockData, BlockProblem, Fit, Pass, Prior, fit
from dyncal.identification.interpolation import CONTEXT
from dyncal.identification.pending import Pending, runs
from dyncal.identification.posterior import (
    Posterior,
    block_variance,
    disagreement,
    followed,
    inverse,
    jumped,
    limits,
    renewed,
    weakened,
)
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.screen import clipped
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.snapshot import Array, EstimatorState, pack, unpack
from dyncal.identification.tracking import Tracking
from dyncal.models import model_of

_GROWTH = 1.3
_START_U = 0.05
_PATIENCE = 4
_ODD = 0.02  # unexplained share above which a noisy block is no sensor that changes while the block lasts
_LONGER = 12  # shortest blocks that a new start takes after a pair has proved inconsistent


class OnlineEstimator:
    """Follow the parameters of one sensor against its reference.

    Parameters
    ----------
    model : ModelKind
    dt_ns : int
        Nominal sampling interval of the sensor [ns]; the instants of the samples are what counts.
    settings : OnlineSettings, optional

    Raises
    ------
    InvalidData
        If there is no model of that kind or `dt_ns` is not positive.
    """

    def __init__(self, model: ModelKind, dt_ns: int, settings: OnlineSettings | None = None) -> None:
        if dt_ns <= 0:
            raise InvalidData(f"dt_ns must be positive, not {dt_ns}")
        self.model = model
        self.dt_ns = dt_ns
        self.settings = settings or OnlineSettings()
        self._model = model_of(model)
        self._shortest = max(
            self.settings.min_block_samples,
            min(int(np.ceil(self.settings.min_block_s * 1e9 / dt_ns)), self.settings.max_block_samples),
        )
        self._limits = limits(self._model.n_parameters)
        self._pending = Pending()
        self._last_ns: int | None = None
        self._behind, self._close_at = CONTEXT, self._shortest
        self._tracking: Tracking | None = None
        self._refused: start.Refused | None = None
        self._doubtful = False

    @property
    def estimate(self) -> Estimate | None:
        """What is known now; None before there was enough data to say anything."""
        if self._tracking is not None:
            now = self._tracking
            return report.estimate(
                self._model, now.posterior, now.residuals, now.window, self.settings, trouble=now.trouble
            )
        if self._refused is not None:
            return report.refusal(self._refused.verdict, self._refused.detail, self._last_ns or 0)
        return None

    def update(self, record: AlignedRecord, *, new_segment: bool = False) -> list[BlockOutcome]:
        """Take in `record`, which continues the last one unless `new_segment`; return the blocks it closed.

        Samples that are not finite end the segment; samples not newer than the newest known are left out. The result
        does not depend on how a stream is cut into records.
        """
        outcomes: list[BlockOutcome] = []
        if new_segment:
            self._cut(outcomes)
        for begins, run in runs(record, self._last_ns, self.dt_ns):
            if begins:
                self._cut(outcomes)
            self._pending.append(run.t_ns, run.indication, run.reference)
            self._last_ns = int(run.t_ns[-1])
            while self._waiting >= self._close_at:
                self._consider(self._close_at, outcomes, final=False)
        return outcomes

    @property
    def _waiting(self) -> int:
        """Samples that a block may take: all but those used already, and those that interpolation must look ahead."""
        return len(self._pending) - self._behind - CONTEXT

    def _cut(self, outcomes: list[BlockOutcome]) -> None:
        """End a segment: what waits becomes a block if it says enough, and the next one finds its state anew."""
        if self._waiting >= self.settings.min_block_samples and self._tracking is not None:
            self._consider(self._waiting, outcomes, final=True)
        self._pending.drop(len(self._pending))
        self._close_at, self._behind = self._shortest, CONTEXT
        if self._tracking is not None:
            self._tracking = replace(self._tracking, begin=None)

    def _used(self, n: int) -> None:
        """Leave the next n samples behind, but for those that the next block's interpolation looks back at."""
        drop = max(self._behind + n - CONTEXT - 1, 0)
        self._pending.drop(drop)
        self._behind += n - drop
        self._close_at = self._shortest

    def _consider(self, n: int, outcomes: list[BlockOutcome], *, final: bool) -> None:
        """Close a block of the first n samples that wait, or let it grow."""
        tracking = self._tracking
        if tracking is None:
            self._begin(n, outcomes)
            return
        data = self._block(tracking, n)
        posterior = tracking.posterior
        problem = BlockProblem(self._model, data, posterior.h, tracking.begin)
        first = problem.evaluate(posterior.h)
        full = final or n >= self.settings.max_block_samples or self._too_long(data)
        if first is None:  # cannot be: the state it starts from is finite
            self._reject(tracking, data, "the estimate is not finite", outcomes)
        else:
            variance = block_variance(first, posterior.variance, data.n) * posterior.dispersion
            # by the usual noise: a block that fits nothing must be looked at, not waited for
            u = start.lag_u(self._model, first.a / posterior.effective)
            if u <= self.settings.target_u or (full and u <= 3 * self.settings.target_u):
                self._take(tracking, problem, data, first, variance, outcomes)
            elif full:
                self._pass_by(tracking, data, first, outcomes)
            else:
                self._close_at = min(int(n * _GROWTH) + 1, self.settings.max_block_samples)
                return
        self._used(n)

    def _too_long(self, data: BlockData) -> bool:
        return bool(data.t_ns[-1] - data.t_ns[0] >= self.settings.max_block_s * 1e9)

    def _block(self, tracking: Tracking, n: int) -> BlockData:
        """Return the next n samples, after the last one used unless a segment begins."""
        fresh = tracking.begin is None
        first = self._behind - (0 if fresh else 1)
        part = self._pending.part(first - CONTEXT, self._behind + n + CONTEXT)
        return BlockData.between(*part, tracking.interpolation, fresh=fresh)

    def _begin(self, n: int, outcomes: list[BlockOutcome]) -> None:
        if self._doubtful and n < min(_LONGER * self._shortest, self.settings.max_block_samples):
            self._close_at = min(_LONGER * self._shortest, self.settings.max_block_samples)
            return
        part = self._pending.part(self._behind - CONTEXT, self._behind + n + CONTEXT)
        found = start.start(self._model, *part, _START_U)
        if isinstance(found, start.Refused):
            self._refused = found
            if n >= self.settings.max_block_samples:
                self._pending.drop(n // 2)
                n -= n // 2
            self._close_at = min(int(n * _GROWTH) + 1, self.settings.max_block_samples)
            return
        self._refused, self._doubtful = None, False
        last, variance, data = found.fit.last, found.variance, found.data
        m = found.fit.h.size
        information = last.a / variance + start.kappa_prior(m)
        considered = -inverse(information) @ (last.cross / variance)
        posterior = Posterior(found.fit.h, information, considered, variance, float(data.n), np.zeros(m - 1))
        self._tracking = Tracking(
            posterior,
            found.fit.end,
            found.interpolation,
            report.Residuals.of(
                last, data.fresh, self._model, variance, start.unexplained(self._model, data, found.fit.h)
            ),
            report.Window(data.n, int(data.t_ns[0]), int(data.t_ns[-1])),
        )
        outcomes.append(self._outcome(posterior, data, found.fit, variance, excited=True))
        self._used(n)

    def _take(
        self,
        tracking: Tracking,
        problem: BlockProblem,
        data: BlockData,
        first: Pass,
        variance: float,
        outcomes: list[BlockOutcome],
    ) -> None:
        p = self._model.n_parameters
        posterior = tracking.posterior
        white = disagreement(first, Prior(posterior.h, posterior.information, variance), p)
        reset = jumped(white, self._limits[0])
        floor = start.kappa_prior(posterior.h.size)[p:, p:]
        kept = followed(posterior, white, p, floor, self._limits[1])
        before = weakened(posterior, p, floor) if reset else kept
        done = fit(problem, Prior(before.h, before.information, variance), first)
        own = done.sse / max(data.n - 1, 1)
        missing = start.unexplained(self._model, data, done.h)
        trouble = clipped("indication", data.y) or clipped("reference", data.r)
        if not trouble and missing > start.UNEXPLAINED and own <= 2 * posterior.variance:
            self._pass_by(tracking, data, first, outcomes)  # nothing but the usual noise
            return
        strange = (reset and own > 4 * posterior.effective) or not done.converged
        if not trouble and (missing > start.UNEXPLAINED or (strange and missing > _ODD)):
            trouble = f"the newest block fits no parameters of a {self.model} sensor"
        if trouble:
            self._reject(tracking, data, trouble, outcomes)
            return
        posterior = renewed(before, done, variance, data.n, self.settings.memory_blocks)
        begin_ns = int(data.t_ns[0 if data.fresh else 1])
        self._tracking = Tracking(
            posterior,
            done.end,
            tracking.interpolation,
            report.Residuals.of(done.last, data.fresh, self._model, tracking.posterior.variance, missing),
            report.Window(
                data.n if reset else tracking.window.n_samples + data.n,
                begin_ns if reset else tracking.window.from_ns,
                int(data.t_ns[-1]),
            ),
        )
        outcomes.append(self._outcome(posterior, data, done, variance, excited=True, reset=reset))

    def _pass_by(self, tracking: Tracking, data: BlockData, first: Pass, outcomes: list[BlockOutcome]) -> None:
        """Let an idle block move nothing but the state."""
        self._tracking = replace(tracking, begin=first.end)
        idle = Fit(first.h, first, first.end, first.b, first.sse, converged=True)
        outcomes.append(self._outcome(tracking.posterior, data, idle, tracking.posterior.effective, excited=False))

    def _reject(self, tracking: Tracking, data: BlockData, trouble: str, outcomes: list[BlockOutcome]) -> None:
        """Leave a block out that no parameters explain; after a few of them, begin from nothing."""
        outcomes.append(self._rejected(data, tracking))
        self._tracking = replace(tracking, begin=None, n_rejected=tracking.n_rejected + 1, trouble=trouble)
        if tracking.n_rejected + 1 >= _PATIENCE:
            self._tracking = None
            verdict = Verdict.BAD_DATA if "saturated" in trouble else Verdict.INCONSISTENT
            self._doubtful = True
            self._refused = start.Refused(verdict, f"{trouble}, and so did those before it", final=False)

    def _rejected(self, data: BlockData, tracking: Tracking) -> BlockOutcome:
        p = self._model.n_parameters
        theta, cov = report.physical(self._model, tracking.posterior.h, tracking.posterior.cov)
        rms = float(np.std(data.y - data.r[:: data.stride]))
        span = int(data.t_ns[0]), int(data.t_ns[-1])
        return BlockOutcome(*span, data.n, False, False, True, theta, cov, np.zeros(p), np.zeros((p, p)), rms)  # noqa: FBT003

    def _outcome(
        self,
        posterior: Posterior,
        data: BlockData,
        done: Fit,
        variance: float,
        *,
        excited: bool,
        reset: bool = False,
    ) -> BlockOutcome:
        p = self._model.n_parameters
        theta, cov = report.physical(self._model, done.h, posterior.cov)
        score, information = report.block_evidence(self._model, done, variance, p)
        return BlockOutcome(
            from_ns=int(data.t_ns[0 if data.fresh else 1]),
            to_ns=int(data.t_ns[-1]),
            n=data.n,
            excited=excited,
            reset=reset,
            rejected=False,
            theta=theta,
            cov=cov,
            score=score,
            information=information,
            residual_rms=float(np.sqrt(done.sse / data.n)),
        )

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        return msgspec.msgpack.encode(self._state())

    @classmethod
    def restore(cls, data: bytes, settings: OnlineSettings | None = None) -> OnlineEstimator:
        """Return the estimator that `snapshot` wrote; raise `InvalidData` if it cannot be read.

        With `settings`, these instead of its own hold from now on: what a certificate says may have changed since.
        """
        try:
            state = msgspec.msgpack.decode(data, type=EstimatorState)
            estimator = cls(state.model, state.dt_ns, settings or OnlineSettings(**state.settings))
            estimator._resume(state)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise InvalidData(f"this is no snapshot of an online estimator: {error}") from error
        return estimator

    def _state(self) -> EstimatorState:
        t, y, r = self._pending.part(0, len(self._pending))
        return EstimatorState(
            model=self.model,
            dt_ns=self.dt_ns,
            settings=asdict(self.settings),
            pending=[Array.of(a) for a in (t, y, r)],
            last_ns=self._last_ns,
            behind=self._behind,
            close_at=self._close_at,
            tracking=pack(self._tracking) if self._tracking is not None else None,
            refused=self._refused,
            doubtful=self._doubtful,
        )

    def _resume(self, state: EstimatorState) -> None:
        t, y, r = (a.array() for a in state.pending)
        self._pending.append(t, y, r)
        self._last_ns, self._refused, self._doubtful = state.last_ns, state.refused, state.doubtful
        self._behind, self._close_at = state.behind, state.close_at
        self._tracking = unpack(state.tracking) if state.tracking is not None else None
