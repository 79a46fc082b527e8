"""Adjustment of one sensor: makes candidates, judges them on what comes after their fit, and keeps what is in force."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from dyncal.correction.forms import correct_at
from dyncal.correction.streaming.record import correct
from dyncal.domain.calibration import Calibration, Conformity
from dyncal.domain.coefficients import CoefficientSet, Correction, CorrectionFilter, Parameters, SetState
from dyncal.domain.errors import InvalidData, RejectedSet
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import NS_PER_S, InstantNs, duration, seconds
from dyncal.identification.records import BlockOutcome, Estimate
from dyncal.ports.records import Act
from services.calibrate import candidate, decision, policy, response
from services.calibrate.alignment import Aligned
from services.calibrate.candidate import Candidate
from services.calibrate.decision import Values
from services.calibrate.events import ACTOR, AddCalibration, Effect, Note
from services.calibrate.likeness import Likeness
from services.calibrate.release import InForce, Waiting
from services.calibrate.releases import Releases
from services.calibrate.settings import CalibrateSection
from services.calibrate.stages import Stage, stage
from services.calibrate.trend import Trend
from services.calibrate.window import Window

_MAX_LOOKS: Final = 3
_LONGER: Final = 1.5
_EXPIRY: Final = 40
_MOST_REFUSALS: Final = 4  # doublings by designs that were refused: what stood against them may be over any time
_LOOK_S: Final = 10.0  # between two looks at what waits,
_AGAINST: Final = 4.0  # standard uncertainties by which it must be worse than what is in force (0.26 % by chance),
_LOOKS_AGAINST: Final = 3  # times in a row: by chance once in 1500 years of looks
_MAX_INTERVAL_ERROR: Final = 0.01
_WINDOW_S: Final = 3.0
_WINDOW_SAMPLES: Final = (2048, 32_768)


class Adjuster:
    """Decides on coefficient sets of one sensor; bounded memory."""

    def __init__(self, sensor: Sensor, pairing: Pairing, rules: CalibrateSection, releases: Releases) -> None:
        self.pairing = pairing
        self.releases = releases
        self.held = False  # in the hands of a rollout: no set is to take the place of what it is about
        self.n_rejected = 0
        self.attempted_ns = 0
        self._known_u: tuple[tuple[str, float], float] = (("", 0.0), 0.0)
        self._trend = Trend()
        self._sensor, self._rules = sensor, rules
        capacity = min(max(round(_WINDOW_S * NS_PER_S / sensor.dt_ns), _WINDOW_SAMPLES[0]), _WINDOW_SAMPLES[1])
        self._window = Window.empty(capacity)
        self._pending: Candidate | None = None
        self._looks = 0
        self._review_ns = 0
        self._spectrum_ns = 0
        self._likeness = Likeness()

    def add(self, aligned: Aligned) -> None:
        """Take in a run of aligned samples."""
        self._window.add(aligned)

    def ready(self) -> bool:
        """Tell whether a new estimate could lead to a candidate now."""
        if self.held or self._pending is not None or len(self._window) < candidate.MIN_SPECTRUM_SAMPLES:
            return False
        last_ns = int(self._window.t_ns[-1])
        return last_ns >= self._review_ns and self._rested(last_ns, moving=True)

    def _rested(self, last_ns: int, *, moving: bool) -> bool:
        """Tell whether the last attempt is long enough ago."""
        first = self.releases.newest is None
        wait_ns = policy.wait_ns(self._rules, first=first, moving=moving, n_rejected=self.n_rejected)
        wait_ns = max(wait_ns, self.releases.least_interval_ns())
        return not self.attempted_ns or last_ns >= self.attempted_ns + wait_ns

    def review(self, estimate: Estimate, block: BlockOutcome) -> Iterator[Effect]:
        """Make a candidate of `estimate`, where that is wished for; `block` is the last that went into it."""
        yield from self._review(estimate, block, int(self._window.t_ns[-1]))

    def judge(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Judge the candidate, where there is one and enough data came since; and what waits to be released."""
        if not len(self._window):
            return
        last_ns = int(self._window.t_ns[-1])
        if self._pending is not None and not self.held:
            yield from self._judge(self._pending, last_ns, now_ns)
        if self.releases.waiting is not None:
            yield from self._look_again(self.releases.waiting, last_ns, now_ns)

    def put_off(self, now_ns: InstantNs) -> None:
        """Begin to wait for the next candidate anew: a person declined one."""
        self._drop(int(self._window.t_ns[-1]) if len(self._window) else now_ns)

    def withdrawn(self, set_id: str, running: CoefficientSet | None, now_ns: InstantNs) -> bool:
        """Go on with what the edge runs, where it left or refused the set in force; return whether it did."""
        if not self.releases.withdrawn(set_id, running):
            return False
        self._drop(int(self._window.t_ns[-1]) if len(self._window) else now_ns)
        return True

    def _review(self, estimate: Estimate, block: BlockOutcome, last_ns: int) -> Iterator[Effect]:
        if self.releases.newest is not None:
            self._review_ns = last_ns + duration(self._rules.review_s)
        if not estimate.accepted or estimate.parameters is None:
            return
        self._trend.add(block.to_ns, estimate.parameters.values, block.cov)
        error = self._window.interval_error(self._sensor.dt_ns)
        if abs(error) > _MAX_INTERVAL_ERROR:
            yield Note("interval_mismatch", self._sensor.id, f"samples come {error:+.1%} off the declared interval")
            return
        try:
            if not self._worthwhile(estimate.parameters, block, last_ns):
                return
            self._spectrum_ns = last_ns + duration(self._rules.spectrum_s)
            self._likeness.forget()
            spectrum = candidate.measurand(self._window, self._sensor, self.pairing, estimate)
            situation = self._situation(estimate.parameters, block, spectrum.corner_rad_s)
            why = policy.wish(situation, self._rules)
            if why is None:
                if (now := self.releases.newest) is not None:
                    self._likeness.remember(now.coefficients, self._window)
                return
            widened = self._widened(estimate.parameters)
            self._pending = candidate.make(
                estimate,
                widened,
                block.cov,
                spectrum,
                self._window,
                self._sensor,
                self.pairing,
                InstantNs(last_ns),
                why,
            )
        except (InvalidData, ArithmeticError, np.linalg.LinAlgError) as fault:
            self._postpone(last_ns, most=_MOST_REFUSALS)
            yield Note("no_candidate", self._sensor.id, str(fault))
            return
        self._looks = 0
        yield Note("candidate", self._sensor.id, why)

    def _worthwhile(self, parameters: Parameters, block: BlockOutcome, last_ns: int) -> bool:
        """Tell whether it is time for a new spectrum, which is dear, or the old one shows the need for a new set."""
        now = self.releases.newest
        rested = self._rested(last_ns, moving=False)
        if now is None or (rested and math.isnan(now.corner_rad_s)):
            return True
        if math.isnan(now.corner_rad_s):
            return False
        quiet = self._quiet(parameters, block, now)
        if rested and last_ns >= self._spectrum_ns:
            if not quiet or not self._likeness.holds(now.coefficients, self._window):
                return True
            self._spectrum_ns = last_ns + duration(self._rules.spectrum_s)
        if quiet:
            return False
        situation = self._situation(parameters, block, now.corner_rad_s)
        return policy.urgent(situation, self._rules) or (rested and policy.wish(situation, self._rules) is not None)

    def _quiet(self, parameters: Parameters, block: BlockOutcome, now: InForce) -> bool:
        """Tell, without looking at responses, that a set of the same spectrum cannot be wished for."""
        old = now.coefficients.parameters
        if old.names != parameters.names or self._u_in_force(now) >= self._rules.min_change:
            return False
        distance2 = response.distance(parameters.values, block.cov, old.values, now.cov_statistical)
        return not response.significant(distance2, len(old.names), policy.SIGNIFICANCE)

    def _u_in_force(self, now: InForce) -> float:
        """Return the relative u of the response of the set in force, over its band; worked out once for each set."""
        band_hz = candidate.band_of(now.corner_rad_s, self.pairing, self._sensor.dt_ns)
        key = (now.coefficients.id, band_hz)
        if self._known_u[0] != key:
            self._known_u = (key, response.relative_u(now.coefficients.parameters, band_hz))
        return self._known_u[1]

    def _widened(self, parameters: Parameters) -> Parameters:
        """Return the parameters with what they will change until the next set in their covariance."""
        ahead_s = self._rules.moving_interval_s + 2 * self._least_s
        change = self._trend.expected_change(duration(ahead_s))
        return dataclasses.replace(parameters, cov=parameters.cov + np.outer(change, change))

    @property
    def _least_s(self) -> float:
        return max(self._rules.held_out_s, self._rules.held_out_samples * seconds(self._sensor.dt_ns))

    def _situation(self, parameters: Parameters, block: BlockOutcome, corner_rad_s: float) -> policy.Situation:
        now = self.releases.newest
        band_hz = candidate.band_of(corner_rad_s, self.pairing, self._sensor.dt_ns)
        u = response.relative_u(parameters, band_hz)
        old = None if now is None else now.coefficients.parameters
        if now is None or old is None or (old.model, old.names) != (parameters.model, parameters.names):
            return policy.Situation(u, None)
        return policy.Situation(
            u,
            policy.InForce(
                change=response.relative_change(parameters, old, band_hz),
                distance2=response.distance(parameters.values, block.cov, old.values, now.cov_statistical),
                n_parameters=len(old.names),
                u_response=response.relative_u(old, band_hz),
                corner_ratio=1.0 if math.isnan(now.corner_rad_s) else corner_rad_s / now.corner_rad_s,
            ),
        )

    def _judge(self, pending: Candidate, last_ns: int, now_ns: InstantNs) -> Iterator[Effect]:
        """Judge the candidate once enough data came after its fit; look again on half as much more before giving up."""
        rules, window = self._rules, self._window
        least_s = self._least_s
        if last_ns - pending.frozen_ns < duration(least_s * _LONGER**self._looks):
            return
        after = window.t_ns > pending.frozen_ns
        raw = Values(window.indication, candidate.noise_of(pending.estimate, pending.spectrum) or 0.0)
        left = Values(*_corrected(pending.correction, pending.parameters, window))
        found = self._found(raw)
        after &= decision.finite(raw.value, left.value, found.value)
        if np.count_nonzero(after) < rules.held_out_samples:
            if last_ns - pending.frozen_ns > duration(least_s * _EXPIRY):
                self._drop(last_ns)
                yield Note("candidate_expired", self._sensor.id, "too few instants could be compared")
            return
        with stage(Stage.VERIFY):
            judgement = decision.judge(
                raw.at(after), found.at(after), left.at(after), window.reference[after], self.pairing.u_reference
            )
        self._looks += 1
        if judgement.conformity.passed or self._looks >= _MAX_LOOKS:
            yield from self._settle(pending, judgement.conformity, last_ns, now_ns)

    def _found(self, raw: Values) -> Values:
        now = self.releases.in_force
        if now is None or now.coefficients.correction.dt_ns != self._sensor.dt_ns:
            return raw
        return Values(*_corrected(now.coefficients.correction, now.coefficients.parameters, self._window))

    def _settle(self, pending: Candidate, conformity: Conformity, last_ns: int, now_ns: InstantNs) -> Iterator[Effect]:
        now, sequence = self.releases.in_force, self.releases.last_sequence + 1
        parent = None if now is None else now.coefficients.id
        try:
            made = candidate.set_of(pending, self._sensor, self.pairing, sequence, parent, now_ns, conformity)
        except (RejectedSet, InvalidData) as error:
            self._drop(last_ns)
            yield Note("candidate_unsafe", self._sensor.id, str(error))
            return
        made = self.releases.offered(made, now_ns, self.releases.policy.shadow_s)
        name, act = made.provenance.calibration_id, Act(ACTOR, now_ns, pending.why)
        yield AddCalibration(
            calibration_of(name, self._sensor, self.pairing, pending.estimate, conformity, now_ns), act
        )
        earlier = ((SetState.CANDIDATE, act),)
        if not conformity.passed:
            self._drop(last_ns)
            why = f"not better than what is in force: {_shown(conformity)}"
            yield from self.releases.rejected(made, Act(ACTOR, now_ns, why), earlier)
            return
        self._pending, self.n_rejected = None, 0
        self.attempted_ns = last_ns
        found = InForce(made, pending.cov_statistical, pending.spectrum.corner_rad_s)
        yield from self.releases.verified(found, pending.why, _shown(conformity), earlier, now_ns)

    def _look_again(self, waiting: Waiting, last_ns: int, now_ns: InstantNs) -> Iterator[Effect]:
        """Reject a set that waits if newer data contradict it: three looks in a row say that it would be worse."""
        if waiting.checked_ns is None:
            waiting.checked_ns = last_ns
        if last_ns - waiting.checked_ns < duration(max(_LOOK_S, 4 * self._least_s)):
            return
        window, after = self._window, self._window.t_ns > waiting.checked_ns
        waiting.checked_ns = last_ns
        made = waiting.made.coefficients
        if made.correction.dt_ns != self._sensor.dt_ns:
            return
        raw = Values(window.indication, 0.0)
        found, left = self._found(raw), Values(*_corrected(made.correction, made.parameters, window))
        after &= decision.finite(raw.value, left.value, found.value)
        if np.count_nonzero(after) < self._rules.held_out_samples:
            return
        judgement = decision.judge(raw.at(after), found.at(after), left.at(after), window.reference[after])
        against = judgement.gain < -_AGAINST * judgement.u_gain
        waiting.n_against = waiting.n_against + 1 if against else 0
        if waiting.n_against >= _LOOKS_AGAINST:
            act = Act(ACTOR, now_ns, f"newer data contradict it: {_shown(judgement.conformity)}")
            yield from self.releases.decline(waiting.id, act)
            self._drop(last_ns)

    def _drop(self, last_ns: int) -> None:
        self._pending = None
        self._postpone(last_ns)

    def _postpone(self, last_ns: int, most: int | None = None) -> None:
        self.attempted_ns = last_ns
        if most is None or self.n_rejected < most:
            self.n_rejected += 1


def _corrected(correction: Correction, parameters: Parameters, window: Window) -> tuple[FloatArray, FloatArray]:
    """Return what a correction makes of the window, and its u, (n,) both: on the grid, where there is one."""
    if isinstance(correction, CorrectionFilter) and not window.irregular:
        return correct(correction, parameters, window.indication)
    return correct_at(correction, parameters, window.t_ns, window.indication)


def calibration_of(
    name: str,
    sensor: Sensor,
    pairing: Pairing,
    estimate: Estimate,
    conformity: Conformity | None,
    now_ns: InstantNs,
) -> Calibration:
    """Return the calibration that an accepted estimate is. Raises `InvalidData` where it has no parameters."""
    if estimate.parameters is None:
        raise InvalidData("an estimate without parameters is no calibration")
    return Calibration(
        id=name,
        sensor=sensor.id,
        reference=pairing.reference,
        parameters=estimate.parameters,
        verdict=estimate.verdict,
        unobservable=estimate.unobservable,
        reduced_chi2=estimate.reduced_chi2,
        whiteness_p=estimate.whiteness_p,
        noise_std=estimate.noise_std,
        n_samples=estimate.n_samples,
        window_from_ns=InstantNs(estimate.window_from_ns),
        window_to_ns=InstantNs(estimate.window_to_ns),
        fitted_at_ns=now_ns,
        method=estimate.method,
        detail=estimate.detail,
        conformity=conformity,
    )


def _shown(conformity: Conformity) -> str:
    c = conformity
    return f"rms raw {c.raw.rms:.4g}, as found {c.as_found.rms:.4g}, as left {c.as_left.rms:.4g} (n={c.as_left.n})"
