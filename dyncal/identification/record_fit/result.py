"""What a record fit answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.record_fit.settings import InterSample, Method
from dyncal.identification.records import Estimate
from dyncal.models.base import ComplexArray, ResponseModel


@dataclass(frozen=True, slots=True)
class Nuisance:
    """Something unknown about the reference that is not the sensor's: its clock [s], or its offset.

    Attributes
    ----------
    prior_u : float
        Standard uncertainty stated beforehand; 0 for none.
    inflation : float
        By how much the standard uncertainty of a dynamic parameter (for the offset: of any) would grow at most were
        it estimated from the data alone.
    freed : bool
        True: estimated, with its prior, because `inflation` is below 2. False: taken as `value` 0, and its stated
        uncertainty widens the covariance.
    value, u : float
        Estimate and standard uncertainty afterwards.
    """

    prior_u: float
    inflation: float
    freed: bool
    value: float
    u: float


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One segment as the fit sees it; all arrays of shape (n,) and without what was left out.

    Attributes
    ----------
    t_ns : int64
    indication, predicted, residual : float64
        `predicted` follows from the reference alone, but for the innovations form: there it is one step ahead.
    innovation : float64
        What the fit takes for white: the residual, but for coloured noise of the sensor.
    """

    t_ns: Int64Array
    indication: FloatArray
    predicted: FloatArray
    residual: FloatArray
    innovation: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RecordFit:
    """The answer.

    Attributes
    ----------
    verdict : Verdict
        Only `ACCEPTED` may become a calibration.
    parameters : Parameters, optional
        θ̂ with covariance, systematic contributions of reference and clock included. Beside a verdict other than
        `ACCEPTED` they show what is wrong (a negative gain, a factor of 1000), and are not to be used; None where
        nothing was fitted, or what was is not finite.
    cov_statistical : float64, shape (p, p), optional
        The part of its covariance that is another one in the next record: without the systematic contributions.
    model : ResponseModel
    unobservable : tuple of str
        Parameters that this record cannot determine, by name.
    noise_std : float
        Standard deviation of the sensor's noise, in the sensor's unit, whatever its colour; NaN where unknown.
    reduced_chi2 : float
        Variance of the residuals over `settings.noise_std`²; where that is not given, the ratio of the scatter of the
        score from block to block to what white residuals would give it: 1 for a model that fits.
    whiteness_p : float
        p-value of the residuals' whiteness (Ljung-Box); NaN where unknown.
    n_samples, n_left_out : int
        Indications used, and samples not used (not finite, in pieces too short, out of reach of the reference).
    window_from_ns, window_to_ns : int
        First and last instant.
    method : Method
    reason : str
        Why this method and this course between samples, in words.
    noise : str
        What the noise was taken for, in words.
    between : InterSample
    clock, offset : Nuisance
        The indication of t answers to the reference at t - `clock.value`, which is `offset.value` too low.
    initial_states : float64, shape (n_segments, n)
        In the state of `model.discretise`, at the first indication of each segment.
    series : tuple of Series
    log_likelihood, aicc : float
        Of the indications (for the full Kalman likelihood: of indications and reference), for comparison between kinds
        fitted with one method to one record.
    n_coordinates : int
        Coordinates estimated, initial states and noise included.
    detail : str
        For people: why the verdict is what it is.
    """

    verdict: Verdict
    parameters: Parameters | None
    cov_statistical: FloatArray | None
    model: ResponseModel
    unobservable: tuple[str, ...]
    noise_std: float
    reduced_chi2: float
    whiteness_p: float
    n_samples: int
    n_left_out: int
    window_from_ns: int
    window_to_ns: int
    method: Method
    reason: str
    noise: str
    between: InterSample
    clock: Nuisance
    offset: Nuisance
    initial_states: FloatArray
    series: tuple[Series, ...]
    log_likelihood: float
    aicc: float
    n_coordinates: int
    detail: str

    @property
    def accepted(self) -> bool:
        """True where the parameters may be used."""
        return self.verdict is Verdict.ACCEPTED and self.parameters is not None

    @property
    def estimate(self) -> Estimate:
        """The same in the form that estimators share."""
        return Estimate(
            verdict=self.verdict,
            parameters=self.parameters,
            unobservable=self.unobservable,
            noise_std=self.noise_std,
            reduced_chi2=self.reduced_chi2,
            whiteness_p=self.whiteness_p,
            n_samples=self.n_samples,
            window_from_ns=self.window_from_ns,
            window_to_ns=self.window_to_ns,
            method=f"record fit, {self.method}",
            detail=f"{self.detail}; {self.reason}" if self.reason else self.detail,
        )

    def response(self, f_hz: FloatArray) -> tuple[ComplexArray, FloatArray]:
        """Return the fitted response at frequencies (m,), and the covariance of (Re, Im), shape (m, 2, 2).

        Raises
        ------
        InvalidData
            If there is no fit.
        """
        if self.parameters is None:
            raise InvalidData(f"there is no fit: {self.detail}")
        f = np.asarray(f_hz, dtype=np.float64)
        jacobian = self.model.jacobian(self.parameters.values, f)
        parts = np.stack([jacobian.real, jacobian.imag], axis=1)
        return (
            self.model.frequency_response(self.parameters.values, f),
            parts @ self.parameters.cov @ parts.swapaxes(1, 2),
        )


def aicc(log_likelihood: float, k: int, n: int) -> float:
    """Return 2k - 2 ln L + 2k(k + 1)/(n - k - 1); infinite where n is too small."""
    return 2 * k - 2 * log_likelihood + 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else float("inf")
