"""Sensors of a fleet that are followed by the full likelihood, one by one, and those that wait for it.

All others are followed by the innovations form, in the fleet's compiled step. So is, *provisionally*, a sensor that
waits while the samples gather that the full likelihood needs to begin; what is said of it is not accepted. Neither is
what is said of a sensor of either kind that has changed, until the record since then has been fitted as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification import report
from dyncal.identification.interpolation import CONTEXT
from dyncal.identification.online import passes, start
from dyncal.identification.online.changes import Known
from dyncal.identification.online.first_record import first_estimate
from dyncal.identification.online.fleet import full_likelihood
from dyncal.identification.online.fleet.adoption import adopt
from dyncal.identification.online.fleet.faults import Faults
from dyncal.identification.online.fleet.founding import founded
from dyncal.identification.online.fleet.outcomes import Outcomes
from dyncal.identification.online.fleet.state import FleetState
from dyncal.identification.online.fleet.step import Step
from dyncal.identification.online.fleet.suspicions import Suspicions
from dyncal.identification.online.fleet.young import YoungRecords
from dyncal.identification.online.snapshot import Array, FleetSnapshot
from dyncal.identification.online.widening import widened
from dyncal.identification.records import BlockOutcome, Estimate
from dyncal.identification.settings import Likelihood, OnlineSettings
from dyncal.models import SensorModel

_PATIENCE: Final = 1.5  # as many more samples, up to a number of them, make another try worth while
_CLEARLY: Final = 1.5  # a gain beyond its limit by this factor ends the innovations form


class Newest(Protocol):
    """Copies of the samples of the k-th block of a step, and of some that come after it."""

    def __call__(self, k: int, ahead: int = 0) -> full_likelihood.Samples:
        """Return instants, indications, references; `ahead` is `interpolation.CONTEXT` at most."""
        ...


class Followers:
    """What the full likelihood knows of the sensors of a fleet; the fleet's own state keeps their windows.

    Parameters
    ----------
    model : SensorModel
    settings : tuple of OnlineSettings
        Of each of n sensors.
    dt_ns : int64, shape (n,)
        Nominal intervals [ns].
    limits : float64, shape (2,)
        Of D for a jump and for a trend.
    state : FleetState

    Attributes
    ----------
    tried : int64, shape (n,)
        Samples known when the full likelihood was last tried in vain, or a change to it.
    """

    def __init__(
        self,
        model: SensorModel,
        settings: tuple[OnlineSettings, ...],
        dt_ns: Int64Array,
        limits: FloatArray,
        state: FleetState,
    ) -> None:
        self._model, self._settings, self._dt_ns, self._limits, self._state = model, settings, dt_ns, limits, state
        self._full: dict[int, full_likelihood.Followed] = {}
        self._provisional: dict[int, full_likelihood.Samples] = {}
        self._young = YoungRecords(np.array([s.max_block_s for s in settings]))
        self._suspicions = Suspicions(settings, dt_ns)
        self.tried = np.zeros(dt_ns.size, dtype=np.int64)

    def __bool__(self) -> bool:
        return bool(self._full)

    def __contains__(self, i: int) -> bool:
        return i in self._full

    def found(self, i: int, first: start.Started, block: Outcomes, samples: full_likelihood.Samples) -> Outcomes:
        """Return a sensor's first block, by the likelihood that holds for it.

        Parameters
        ----------
        i : int
        first : start.Started
            The first estimate, in the innovations form, which is followed already.
        block : Outcomes
            What that says of the block.
        samples : tuple of arrays
            Copies of the block's samples.
        """
        self.drop(i)
        self.tried[i] = 0
        if not full_likelihood.needed(self._model, first, float(self._dt_ns[i]) / 1e9, self._settings[i]):
            self._judge(i, samples)
            return self.silenced(block)
        begun = self._begin(i, samples, first.fit.h)
        if begun is not None:
            return begun
        self._provisional[i] = samples
        return self.without_provisional(block)

    def _begin(
        self, i: int, samples: full_likelihood.Samples, h: FloatArray, *, at_once: bool = False
    ) -> Outcomes | None:
        """Begin to follow a sensor if its samples say enough; of few samples, only `at_once`."""
        if not at_once and samples[0].size < self._fewest(i):
            return None
        settings = self._settings[i]
        full = full_likelihood.found(self._model, samples, h[: self._model.n_parameters], settings)
        if full is None or full.outcome is None:
            return None
        self._full[i] = full.followed
        self._young.begin(i, samples)
        self._provisional.pop(i, None)
        self._state.window[i] = 0
        self._state.widen_window(i, full.outcome)
        self._judge(i, samples)
        return self.silenced(Outcomes.one(i, full.outcome))

    def _fewest(self, i: int) -> int:
        return min(full_likelihood.FEWEST, self._settings[i].max_block_samples)

    def fresh(self, i: int) -> bool:
        """Tell whether a sensor's next block begins a segment."""
        return self._full[i].state is None

    def consider(self, i: int, samples: full_likelihood.Samples, *, full: bool) -> full_likelihood.Considered:
        """Close a block of a sensor that is followed here, or let it grow; see `full_likelihood.consider`."""
        done = full_likelihood.consider(
            self._model, self._full[i], samples, self._settings[i], self._limits, full=full
        )  # fmt: skip
        if done.outcome is None:
            return done
        before, fresh = self._full[i], self.fresh(i)
        self._full[i] = done.followed
        if done.outcome.excited and not done.trouble:
            self._state.widen_window(i, done.outcome)
        if done.outcome.reset:
            self._jumped(i, Known.of(before.posterior))
        elif i in self._young and done.trouble:
            self._young.interrupt(i)
        elif i in self._young:
            after_jump = self._young.after_jump(i)
            record = self._young.extend(i, samples, (full_likelihood.FEWEST, *full_likelihood.ANEW), 0 if fresh else 1)
            if record is not None:
                done = self._grown(i, record, done, done.outcome, after_jump=after_jump)
        if done.outcome is not None and done.outcome.excited:
            self._judge(i, samples)
        return done

    def _grown(
        self, i: int, record: full_likelihood.Samples, done: full_likelihood.Considered, outcome: BlockOutcome,
        *, after_jump: bool,
    ) -> full_likelihood.Considered:  # fmt: skip
        """Fit a young record anew, as a whole; the drift of its newest block stays what it was.

        Followed on after a jump, its noise takes in what no parameters explain, and an offset that came with the jump
        is never weighed against a record that has it.
        """
        eta, process = done.followed.h[: self._model.n_parameters], done.followed.form.process
        final = record[0].size >= full_likelihood.ANEW[-1]
        again = full_likelihood.found(self._model, record, eta, self._settings[i], None if final else process)
        if again is None or again.outcome is None:
            return done
        self._young.fitted(i)
        followed = again.followed
        if after_jump:  # how blocks scatter was known before; those of a first record are all in it
            followed = replace(followed, dispersion=done.followed.dispersion)
        self._full[i] = followed
        outcome = replace(outcome, theta=again.outcome.theta, cov=again.outcome.cov)
        return replace(done, followed=followed, outcome=outcome)

    def take_over(self, step: Step, closed: Outcomes, newest: Newest, faults: Faults) -> list[Outcomes]:
        """Return the blocks that a step has closed, and those with which the full likelihood begins."""
        look = step.taken & ((step.shifted > 0) | np.isin(step.blocks.who, self._suspicions.watched))
        for k in np.flatnonzero(look).tolist():
            i = int(step.blocks.who[k])
            if i not in self._provisional:
                with faults.contained(i):
                    self._judge(i, newest(k))
        self._renew(step, closed, newest, faults)
        blocks = [self.silenced(self.without_provisional(closed))]
        for k in range(step.blocks.who.size) if self._provisional else ():
            i = int(step.blocks.who[k])
            if i in self._provisional:
                with faults.contained(i):
                    blocks += self._gather(i, k, step, newest)
        least = 1 - _CLEARLY * full_likelihood.LARGEST_GAIN
        for k in np.flatnonzero(step.taken & (step.result[:, passes.NOISE_SHARE] < least)).tolist():
            i = int(step.blocks.who[k])
            with faults.contained(i):
                self._change_over(i, k, newest)
        return blocks

    def _jumped(self, i: int, before: Known) -> None:
        """Begin anew with the samples that come."""
        self._young.jumped(i)
        self._suspicions.jumped(i, before)

    def _renew(self, step: Step, closed: Outcomes, newest: Newest, faults: Faults) -> None:
        """Gather what comes after jumps, and fit it anew; write into the blocks what is known then."""
        for k, before in step.before.items():
            if int(step.blocks.who[k]) not in self._provisional:  # which gather already
                self._jumped(int(step.blocks.who[k]), before)
        if not self._young:
            return
        grows = ~step.jumped & np.isin(step.blocks.who, list(self._young))
        for k in np.flatnonzero(grows).tolist():
            i = int(step.blocks.who[k])
            if step.rejected[k]:
                self._young.interrupt(i)
            elif (record := self._young.extend(i, newest(k), full_likelihood.ANEW)) is not None:
                with faults.contained(i):
                    self._found_anew(i, record, newest(k, CONTEXT), closed, k)

    def _found_anew(
        self, i: int, record: full_likelihood.Samples, newest: full_likelihood.Samples, closed: Outcomes, row: int
    ) -> None:
        """Begin again to follow a sensor in the innovations form, where a first record would be enough to begin."""
        ahead = (column[-CONTEXT:] for column in newest)
        t_ns, y, r = (np.concatenate(pair) for pair in zip(record, ahead, strict=True))
        first = first_estimate(self._model, t_ns, y, r, self._settings[i])
        if isinstance(first, start.Refused):
            return
        state, dispersion = self._state, float(self._state.dispersion[i])
        block = founded(state, i, self._model, first)
        state.dispersion[i] = dispersion
        closed.theta[row], closed.cov[row] = block.theta[0], block.cov[0]
        self._young.fitted(i)
        self._judge(i, record)

    def without_provisional(self, closed: Outcomes) -> Outcomes:
        """Return blocks; those of sensors that wait for the full likelihood say nothing: their u is too small."""
        if not self._provisional:
            return closed
        waits = np.array([i in self._provisional for i in closed.sensor.tolist()], dtype=np.bool_)
        return replace(closed, excited=closed.excited & ~waits)

    def _gather(self, i: int, k: int, step: Step, newest: Newest) -> list[Outcomes]:
        """Keep a block of a sensor that waits, until there are enough samples to begin.

        To the full likelihood holes are intervals as any other; after a long one the sensor may be another.
        """
        if step.rejected[k]:
            self._provisional[i] = full_likelihood.NOTHING
            return []
        before, samples = self._provisional[i], newest(k)
        if before[0].size and samples[0][0] - before[0][-1] <= self._settings[i].max_block_s * NS_PER_S:
            samples = full_likelihood.joined(before, samples)
        self._provisional[i] = samples
        known, tried = int(self._state.window[i, 0]), int(self.tried[i])
        # a measurand that no process describes is not to cost a whole fit with each block
        if tried <= known < min(_PATIENCE * tried, tried + full_likelihood.MOST):
            return []
        begun = self._begin(i, samples, self._state.h[i])
        if begun is None and samples[0].size >= self._fewest(i):
            self.tried[i] = known
        return [] if begun is None else [begun]

    def _change_over(self, i: int, k: int, newest: Newest) -> None:
        """Go on with the full likelihood if the innovations form, which has proved not to hold, is not asked for."""
        if self._settings[i].likelihood is Likelihood.INNOVATIONS or i in self._full or i in self._provisional:
            return
        known = int(self._state.window[i, 0])
        if known >= 2 * self.tried[i]:
            self.tried[i] = known
            self._begin(i, newest(k), self._state.h[i], at_once=True)

    def silenced(self, blocks: Outcomes) -> Outcomes:
        """Return blocks; those of sensors that are doubted say nothing to others: they follow no drift."""
        doubted = self._suspicions.doubted
        return replace(blocks, excited=blocks.excited & ~np.isin(blocks.sensor, doubted)) if doubted else blocks

    def _judge(self, i: int, samples: full_likelihood.Samples) -> None:
        """Judge what the blocks say of offsets of zero and clock."""
        full, state = self._full.get(i), self._state
        now, evidence = (state.posterior(i), state.evidence(i)) if full is None else (full.posterior, full.evidence)
        settled = self._young.gathered(i) is None
        if self._suspicions.judge(i, now, evidence, samples, full=full is not None, settled=settled):
            # what follows is to bear it out by itself: a block in which the sensor changed says false things of both
            if full is not None:
                self._full[i] = full_likelihood.without_shifts(full)
            state.forget_shifts(i)

    def cut(self, i: int) -> None:
        """End a sensor's segment: the next block finds its state anew.

        What gathers for the full likelihood goes on gathering (`_gather`).
        """
        if i in self._full:
            self._young.cut(i)
            self._full[i] = replace(self._full[i], state=None)
        else:
            self._young.drop(i)

    def drop(self, i: int, *, known: bool = False) -> None:
        """Neither follow a sensor nor wait for it; what is `known` of it stays to be reported."""
        self._provisional.pop(i, None)
        self._young.drop(i)
        self._suspicions.drop(i)
        if not known:
            self._full.pop(i, None)

    def estimate(self, i: int, trouble: str) -> Estimate:
        """Return what is known of a sensor now, by whichever likelihood follows it."""
        model, state, full = self._model, self._state, self._full.get(i)
        doubted = self._suspicions.trouble(i)
        if not trouble or (doubted and report.verdict_of(doubted) is Verdict.BAD_DATA):
            trouble = doubted  # that values are not measured is why blocks fit nothing
        posterior = state.posterior(i) if full is None else full.posterior
        residuals = state.residuals_of(i) if full is None else full.residuals
        if not trouble and full is None and self._settings[i].likelihood is Likelihood.INNOVATIONS:
            trouble = report.unfit(posterior, residuals, self._settings[i])
        found = report.estimate(
            model, posterior, widened(model, posterior, self._settings[i]), residuals, state.window_of(i),
            self._settings[i], trouble=trouble,
            method=report.METHOD if full is None else f"{report.FULL} ({full.form.process})",
        )  # fmt: skip
        why_not = self._why_not_yet(i) if i in self._provisional else "" if trouble else self._why_not_any_more(i)
        return replace(found, verdict=Verdict.NOT_EXCITED, detail=why_not) if why_not else found

    def _why_not_yet(self, i: int) -> str:
        """Say why the full likelihood has not begun, and what to state for the innovations form to be taken."""
        n, fewest = self._provisional[i][0].size, self._fewest(i)
        if n < fewest:
            return f"the record is too short to tell the reference's noise from the measurand: {n} of {fewest} samples"
        share = float(self._dt_ns[i]) / 1e9 / start.fastest(self._model, self._state.h[i])
        detail = f"{n} samples do not tell the reference's noise from a measurand that steps or hardly moves; "
        if self._settings[i].likelihood is Likelihood.KALMAN:
            return f"{detail}the Kalman likelihood, which was asked for, needs that"
        if share > full_likelihood.LONGEST_INTERVAL:
            detail += f"at intervals of {100 * share:.2g} % of the sensor's shortest time that is needed: "
            return f"{detail}state Likelihood.INNOVATIONS if the reference is good, or sample faster"
        return f"{detail}state u_reference_noise if it is known, or Likelihood.INNOVATIONS if it is negligible"

    def _why_not_any_more(self, i: int) -> str:
        """Say of a sensor that has changed of late what is not known yet; empty where it is."""
        n = self._young.gathered(i)
        if n is not None:
            return f"the sensor or its plant has changed: {n} samples since do not tell which"
        return self._suspicions.open_question(i, self._state.window_of(i).n_samples)

    def adopt(self, k: int, other: Followers, i: int) -> None:
        """Know of sensor k what another fleet's followers know of sensor i."""
        adopt(self._full, k, other._full, i)
        adopt(self._provisional, k, other._provisional, i)
        self._young.adopt(k, other._young, i)
        self._suspicions.adopt(k, other._suspicions, i)

    def pack(self) -> dict[str, Any]:
        """Return what is known here as parts of a snapshot, by name."""
        return {
            "full": {i: full_likelihood.pack(now) for i, now in sorted(self._full.items())},
            "provisional": {i: tuple(Array.of(a) for a in each) for i, each in sorted(self._provisional.items())},
            "young": self._young.pack(),
            **self._suspicions.pack(),
        }

    def resume(self, found: FleetSnapshot) -> None:
        """Go on from a snapshot; raises KeyError, TypeError or ValueError where something is missing."""
        self._full = {i: full_likelihood.unpack(packed) for i, packed in found.full.items()}
        waits = {i: each for i, each in found.provisional.items() if i not in self._full}
        self._provisional = {i: (t.array(), y.array(), r.array()) for i, (t, y, r) in waits.items()}
        self._young.resume(found.young.items())
        self._suspicions.resume(found)
