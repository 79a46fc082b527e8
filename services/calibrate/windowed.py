"""Record fits over consecutive windows: for models that the online estimator does not know (ADR 0020).

Each window is fitted by itself (`dyncal.identification.record_fit`), the reference taken for exact but for its white
noise; the estimates θ_b with covariance V_b are independent, and are combined with a fading memory::

    L ← (1 - 1/m) L + I_b,    θ ← θ + L⁻¹ I_b (θ_b - θ),    I_b = (d V_b)⁻¹

d is the running ratio, not below 1, of the windows' disagreement to what they claim. A window that contradicts what is
known (p < 4e-6) begins anew. What the reference contributes systematically is found by fitting a window once more with
the reference moved by its uncertainty, and does not average out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array, duration
from dyncal.identification.record_fit import RecordFit, RecordSettings, fit_record
from dyncal.identification.record_fit.settings import InterSample
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.report import outdated, refusal
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.stated_noise import contradiction
from dyncal.models import DELAY, SensorModel
from services.calibrate import response
from services.calibrate.windowed_state import Gathered, Known, State, packed, unpacked

METHOD: Final = "record fits over consecutive windows"
FEWEST: Final = 400  # samples of a window
MOST: Final = 6000
_GROWTH: Final = 1.5
_APART_NS: Final = duration(5.0)  # of data: what one fit takes of a core, some 0.2 s, is then a few per cent of it
_MEMORY: Final = 10.0
_PATIENCE: Final = 4
_MOST_DOUBLINGS: Final = 6
_SURE: Final = 1 - 3.7e-6
_DISPERSION_WEIGHT: Final = 0.1
_MOST_EXCESS: Final = 8.0
_TOO_LITTLE: Final = (Verdict.NOT_EXCITED, Verdict.NOT_IDENTIFIABLE)


class WindowedEstimator:
    """Follow the parameters of one sensor against its reference, window by window; bounded memory.

    Parameters
    ----------
    model : SensorModel
    dt_ns : int
        Nominal sampling interval of the sensor [ns].
    settings : OnlineSettings
        What the certificate says of the reference.
    """

    def __init__(self, model: SensorModel, dt_ns: int, settings: OnlineSettings, state: State | None = None) -> None:
        self.model, self.dt_ns, self.settings = model, dt_ns, settings
        self._state = state or State(wanted=FEWEST)
        self._gathered = Gathered([], MOST)

    @property
    def estimate(self) -> Estimate | None:
        """What is known now; None before there was enough data to say anything."""
        state = self._state
        if state.known is None:
            if not state.verdict:
                return None
            return replace(refusal(Verdict(state.verdict), state.detail, state.last_fit_ns), method=METHOD)
        found = self._report(state.known)
        return outdated(found, Verdict(state.verdict), state.detail) if state.n_rejected >= _PATIENCE else found

    def _report(self, known: Known) -> Estimate:
        cov = known.cov + known.systematic
        return Estimate(
            verdict=Verdict.ACCEPTED,
            parameters=Parameters(self.model.kind, self.model.names, known.theta, (cov + cov.T) / 2),
            unobservable=(),
            noise_std=known.noise_std,
            reduced_chi2=known.reduced_chi2,
            whiteness_p=known.whiteness_p,
            n_samples=known.n_samples,
            window_from_ns=known.from_ns,
            window_to_ns=known.to_ns,
            method=METHOD,
            detail=known.detail,
        )

    def update(self, record: AlignedRecord, *, new_segment: bool = False) -> list[BlockOutcome]:
        """Take in `record`, which continues the last one unless `new_segment`; return the blocks it closed.

        The result does not depend on how a stream is cut into records.
        """
        outcomes: list[BlockOutcome] = []
        t_ns, y, r = record.t_ns, record.indication, record.reference
        if t_ns.size and self._goes_back(int(t_ns[0])):  # a clock was set: what was gathered is of another time
            self._gathered.keep(0)
            self._state.last_fit_ns, new_segment = 0, True
        while t_ns.size:
            n = self._due(t_ns)
            self._gathered.add((t_ns[:n], y[:n], r[:n]), new_run=new_segment)
            t_ns, y, r, new_segment = t_ns[n:], y[n:], r[n:], False
            if self._gathered.count >= self._state.wanted and self._gathered.last_ns >= self._next_ns:
                outcome = self._consider()
                outcomes += [] if outcome is None else [outcome]
        return outcomes

    def _goes_back(self, instant_ns: int) -> bool:
        newest = max(self._gathered.last_ns if self._gathered.runs else 0, self._state.last_fit_ns)
        return instant_ns <= newest

    @property
    def _next_ns(self) -> int:
        """Instant of data from which on a window may be looked at: what says nothing is asked ever more rarely."""
        return self._state.last_fit_ns + _APART_NS * (1 << min(self._state.n_in_vain, _MOST_DOUBLINGS))

    def _due(self, t_ns: Int64Array) -> int:
        """Return how many of these samples are to be taken before the window is looked at."""
        missing = max(self._state.wanted - self._gathered.count, 1)
        rested = int(np.searchsorted(t_ns, self._next_ns, side="left")) + 1
        return min(max(missing, rested), t_ns.size)

    def _consider(self) -> BlockOutcome | None:
        """Fit what was gathered; close the window, or let it grow (None)."""
        state = self._state
        state.last_fit_ns = self._gathered.last_ns
        try:
            records = self._gathered.records()
            against = self._stated_wrongly(records)
            if against:
                return self._rejected(Verdict.INCONSISTENT, against)
            fit = self._fit(records)
        except (InvalidData, ArithmeticError, np.linalg.LinAlgError) as error:
            return self._rejected(Verdict.DIVERGED, str(error))
        if fit.verdict in _TOO_LITTLE:
            return self._idle(fit)
        if not fit.accepted or fit.parameters is None:
            return self._rejected(fit.verdict, fit.detail)
        try:
            return self._taken(records, fit, fit.parameters)
        except (InvalidData, ArithmeticError, np.linalg.LinAlgError) as error:
            return self._rejected(Verdict.DIVERGED, str(error))

    def _stated_wrongly(self, records: list[AlignedRecord]) -> str:
        """Say that the reference cannot have the noise that is stated of it, or return an empty string."""
        longest = max(records, key=len, default=None)
        return "" if longest is None else contradiction(longest.reference, self.settings.u_reference_noise)

    def _fit(self, records: list[AlignedRecord]) -> RecordFit:
        """Fit, by the course between samples that was best at the first window.

        That course is then stated: left open, that the measurand may be held from sample to sample as well makes half
        an interval of dead time uncertain, which no data can mend, and which is not so for a physical measurand.
        """
        known = self._state.known
        if known is not None:
            return fit_record(records, self.model, settings=self._wishes(known.between), start=known.theta)
        first = fit_record(records, self.model, settings=self._wishes(None))
        if first.parameters is None:
            return first
        wishes = self._wishes(first.between)
        return fit_record(records, self.model, settings=wishes, start=first.parameters.values)

    def _wishes(self, between: InterSample | None) -> RecordSettings:
        said = self.settings
        return RecordSettings(
            u_reference_noise=said.u_reference_noise,
            between=between,
            offset_apart=said.u_reference,  # counted by `_systematic`
            clock_apart_s=said.u_clock_s,
        )

    def _idle(self, fit: RecordFit) -> BlockOutcome | None:
        state = self._state
        state.n_in_vain += 1
        if state.known is None:
            state.verdict, state.detail = fit.verdict, fit.detail
        if state.wanted < MOST:
            state.wanted = min(int(state.wanted * _GROWTH), MOST)
            return None
        outcome = self._outcome(excited=False)
        self._gathered.keep(MOST // 2)
        return outcome

    def _rejected(self, verdict: Verdict, detail: str) -> BlockOutcome:
        state = self._state
        state.n_rejected += 1
        state.n_in_vain += 1
        if state.known is None or state.n_rejected >= _PATIENCE:
            state.verdict, state.detail = verdict, detail
        outcome = self._outcome(excited=False, rejected=True)
        self._gathered.keep(0)
        state.wanted = FEWEST
        return outcome

    def _taken(self, records: list[AlignedRecord], fit: RecordFit, own: Parameters) -> BlockOutcome:
        state, known = self._state, self._state.known
        reset = known is not None and self._contradicts(own, known)
        now = self._founded(records, fit, own) if known is None or reset else self._combined(known, fit, own)
        information = _inverse(own.cov)
        outcome = self._outcome(excited=True, reset=reset)
        outcome = replace(
            outcome,
            theta=now.theta, cov=now.cov, score=information @ (own.values - now.theta), information=information,
            residual_rms=fit.noise_std,
        )  # fmt: skip
        state.known, state.n_rejected, state.verdict, state.detail = now, 0, "", ""
        state.wanted, state.n_in_vain = FEWEST, 0
        self._gathered.keep(0)
        return outcome

    def _contradicts(self, own: Parameters, known: Known) -> bool:
        distance2 = response.distance(own.values, own.cov * known.dispersion, known.theta, known.cov)
        return response.significant(distance2, own.values.size, _SURE)

    def _founded(self, records: list[AlignedRecord], fit: RecordFit, own: Parameters) -> Known:
        return Known(
            theta=own.values,
            information=_inverse(own.cov),
            systematic=self._systematic(records, fit, own),
            dispersion=1.0,
            between=fit.between,
            noise_std=fit.noise_std,
            reduced_chi2=fit.reduced_chi2,
            whiteness_p=fit.whiteness_p,
            n_samples=fit.n_samples,
            from_ns=fit.window_from_ns,
            to_ns=fit.window_to_ns,
            detail=fit.detail,
        )

    def _combined(self, known: Known, fit: RecordFit, own: Parameters) -> Known:
        p = own.values.size
        ratio = response.distance(own.values, own.cov, known.theta, known.cov) / p
        excess = min(ratio, _MOST_EXCESS) - known.dispersion
        dispersion = max(known.dispersion + _DISPERSION_WEIGHT * excess, 1.0)
        block = _inverse(own.cov * dispersion)
        information = (1 - 1 / _MEMORY) * known.information + block
        theta = known.theta + np.linalg.solve(information, block @ (own.values - known.theta))
        return replace(
            known,
            theta=self.model.check_physical(theta),
            information=information,
            dispersion=dispersion,
            noise_std=fit.noise_std,
            reduced_chi2=fit.reduced_chi2,
            whiteness_p=fit.whiteness_p,
            n_samples=known.n_samples + fit.n_samples,
            to_ns=fit.window_to_ns,
            detail=fit.detail,
        )

    def _systematic(self, records: list[AlignedRecord], fit: RecordFit, own: Parameters) -> FloatArray:
        """Return the covariance (p, p) of what gain, offset and clock of the reference do to θ."""
        said, names = self.settings, own.names
        scaled = np.array([name == "gain" or name[:1] == "b" for name in names])  # numerator: b1_s, b2_s2, …
        columns = [said.u_reference_gain * own.values * scaled]
        if said.u_reference > 0:
            columns.append(self._moved(records, fit, own, offset=said.u_reference))
        if said.u_clock_s > 0 and names[-1] == DELAY:
            columns.append(said.u_clock_s * (np.array(names) == DELAY))  # nothing tells the two apart
        elif said.u_clock_s > 0:
            columns.append(self._moved(records, fit, own, late_s=said.u_clock_s))
        effect = np.stack(columns, axis=1)
        result: FloatArray = effect @ effect.T
        return result

    def _moved(
        self, records: list[AlignedRecord], fit: RecordFit, own: Parameters, offset: float = 0.0, late_s: float = 0.0
    ) -> FloatArray:
        """Return by how much θ moves with a reference that is too high, or late."""
        moved = [replace(record, reference=_late(record.t_ns, record.reference, late_s) + offset) for record in records]
        wishes = self._wishes(fit.between)
        again = fit_record(moved, self.model, settings=wishes, method=fit.method, start=own.values)
        if again.parameters is None:
            raise InvalidData(f"what the reference's own error does cannot be told: {again.detail}")
        difference: FloatArray = again.parameters.values - own.values
        return difference

    def _outcome(self, *, excited: bool, reset: bool = False, rejected: bool = False) -> BlockOutcome:
        p, known, gathered = self.model.n_parameters, self._state.known, self._gathered
        return BlockOutcome(
            gathered.first_ns, gathered.last_ns, gathered.count, excited, reset, rejected,
            theta=np.full(p, np.nan) if known is None else known.theta,
            cov=np.full((p, p), np.nan) if known is None else known.cov,
            score=np.zeros(p), information=np.zeros((p, p)), residual_rms=float("nan"),
        )  # fmt: skip

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        return packed(self.model.names, self.dt_ns, self._state, self._gathered)

    @classmethod
    def restore(cls, data: bytes, model: SensorModel, settings: OnlineSettings) -> WindowedEstimator:
        """Return the estimator that `snapshot` wrote, under these settings.

        Raises
        ------
        InvalidData
            If it cannot be read, or is of another model.
        """
        dt_ns, state, runs = unpacked(data, model.names)
        estimator = cls(model, dt_ns, settings, state)
        estimator._gathered = Gathered(runs, MOST)
        return estimator


def _inverse(matrix: FloatArray) -> FloatArray:
    """Invert a covariance (p, p) of mixed units."""
    scale = 1 / np.sqrt(np.diag(matrix))
    inverse: FloatArray = np.linalg.inv(matrix * np.outer(scale, scale)) * np.outer(scale, scale)
    return (inverse + inverse.T) / 2


def _late(t_ns: Int64Array, values: FloatArray, late_s: float) -> FloatArray:
    """Return what a clock that is late by `late_s` would have said."""
    t_s = (t_ns - t_ns[0]) / 1e9
    return np.asarray(np.interp(t_s - late_s, t_s, values), dtype=np.float64)
