"""What a Kalman fit says."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.measurand import Process


@dataclass(frozen=True, slots=True, eq=False)
class KalmanFit:
    """Parameters of a sensor by the full Kalman likelihood, and what speaks for and against them.

    Attributes
    ----------
    verdict, detail
        Only `ACCEPTED` may be used; `detail` is for people.
    parameters : Parameters, optional
        θ̂ with covariance, everything else eliminated; None where there is no number that could be stood by.
    eta, cov_eta : float64, shapes (p,), (p, p)
        The same in the model's internal coordinates, without the uncertainty of the reference's gain.
    unobservable : tuple of str
        Parameters that the data do not determine, by name.
    converged : bool
    process : Process
        What the measurand was taken for.
    sensor_noise, reference_noise : float
        Standard deviations of the white noise of both, in their units.
    intensity, rate_per_s : float
        q and λ of the process (`dyncal.identification.kalman.measurand`); λ is 0 where it has none.
    clock_offset_s, u_clock_offset_s : float
        By how much the sensor's clock is late, and its standard uncertainty; 0 where it was not in question.
    reference_offset, u_reference_offset : float
        The same for the offset of the reference.
    coordinates : float64, shape (m,)
        All coordinates of `dyncal.identification.kalman.joint.Layout`.
    scale_s : float
        Time scale of the process's state.
    nuisance_names : tuple of str
    nuisance : float64, shape (k,)
        The other coordinates that were found.
    cov : float64, shape (p + k, p + k)
        Covariance of η and of these together.
    log_likelihood : float
        At the maximum, initial states at their best.
    aic : float
        Akaike's criterion, initial states counted.
    innovations : tuple of float64, shape (n, 2)
        Standardised innovations of reference and indication, one array a segment; NaN where nothing was measured.
    reduced_chi2 : tuple of float
        Mean squares of these, for reference and indication.
    whiteness_p : tuple of float
        p-values of their whiteness (Ljung-Box).
    n_samples : int
        Instants at which the sensor was measured.
    n_passes : int
        Evaluations of the likelihood.
    window : tuple of int
        First and last instant [ns].
    method : str
    """

    verdict: Verdict
    detail: str
    parameters: Parameters | None
    eta: FloatArray
    cov_eta: FloatArray
    unobservable: tuple[str, ...]
    converged: bool
    process: Process
    sensor_noise: float
    reference_noise: float
    intensity: float
    rate_per_s: float
    clock_offset_s: float
    u_clock_offset_s: float
    reference_offset: float
    u_reference_offset: float
    coordinates: FloatArray
    scale_s: float
    nuisance_names: tuple[str, ...]
    nuisance: FloatArray
    cov: FloatArray
    log_likelihood: float
    aic: float
    innovations: tuple[FloatArray, ...]
    reduced_chi2: tuple[float, float]
    whiteness_p: tuple[float, float]
    n_samples: int
    n_passes: int
    window: tuple[int, int]
    method: str = "Kalman likelihood"

    @property
    def accepted(self) -> bool:
        """True where the parameters may be used."""
        return self.verdict is Verdict.ACCEPTED and self.parameters is not None
