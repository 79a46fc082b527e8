"""Two sensors of unequal dynamics, one measurand, no reference: the dynamics of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, gamma, norm

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ.covariance import covariance
from dyncal.identification.in_situ.problem import CrossRelation, Residuals, check_gain, noise_of, start_ratio
from dyncal.identification.in_situ.spectra import PairRecord, PairSpectra
from dyncal.identification.in_situ.starts import starts
from dyncal.identification.screen import trouble_with_gain
from dyncal.models import model_of

METHOD: Final = "cross-relation, errors in variables in the frequency domain"
_ROUNDS: Final = 12
_LEAST_NOISE: Final = 1e-18  # of the record's power
_SAME: Final = 1e-3
_BANDS: Final = 24
_LEAST_IN_BAND: Final = 6
_INCONSISTENT_P: Final = 1e-4
_ALIKE_P: Final = 1e-6
_ALIKE: Final = "the two sensors respond alike, or the measurand moves too slowly: their dynamics cannot be told apart"
_NO_NOISE: Final = (
    "the residuals are not white: the sensors do not see one measurand, are not of these models,"
    " or are sampled too slowly"
)
_LEAD_LAG: Final = (
    "the zero of a lead-lag sensor cannot be told from a pole of the other: both appear in the ratio of the two alike"
)


@dataclass(frozen=True, slots=True)
class CrossRelationSettings:
    """Settings of `fit_cross_relation`.

    Attributes
    ----------
    gain_first, u_gain_first : float
        The first sensor's gain and its standard uncertainty: two records tell only the ratio of the gains.
    noise_std : (float, float), optional
        Standard deviations of the sensors' white noises, in their unit; None: estimated.
    u_clock_s : float
        Standard uncertainty of the offset between the two sensors' time stamps [s].
    max_relative_u : float
        A parameter known less well, relative, is named unobservable.
    """

    gain_first: float = 1.0
    u_gain_first: float = 0.0
    noise_std: tuple[float, float] | None = None
    u_clock_s: float = 0.0
    max_relative_u: float = 0.25

    def __post_init__(self) -> None:
        check_gain(self.gain_first, self.u_gain_first)
        if self.noise_std is not None and not all(0 < std < np.inf for std in self.noise_std):
            raise InvalidData(f"noise_std must be positive and finite, not {self.noise_std}")
        if not 0 <= self.u_clock_s < np.inf or not 0 < self.max_relative_u < np.inf:
            raise InvalidData("u_clock_s must not be negative and max_relative_u positive")


@dataclass(frozen=True, slots=True, eq=False)
class CrossRelationFit:
    """What two sensors say of each other.

    Attributes
    ----------
    verdict : Verdict
        `NOT_IDENTIFIABLE` where the sensors respond too much alike, or the measurand moves too slowly.
    first, second : Parameters, optional
        θ̂ with covariance; None where there is no number that could be stood by.
    cov : float64, shape (p1 + p2, p1 + p2), optional
        Joint covariance, first sensor first.
    unobservable : tuple of str
        ``first.tau_s`` and so on.
    noise_std : (float, float)
    reduced_chi2 : float
        1 by construction where the noise was estimated.
    consistency_p : float
        p-value of the residuals' power being the same in all frequency bands, as it is where both models hold and both
        sensors see one measurand.
    n_samples : int
    method, detail : str
    """

    verdict: Verdict
    first: Parameters | None
    second: Parameters | None
    cov: FloatArray | None
    unobservable: tuple[str, ...]
    noise_std: tuple[float, float]
    reduced_chi2: float
    consistency_p: float
    n_samples: int
    method: str
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the parameters may be used."""
        return self.verdict is Verdict.ACCEPTED


def fit_cross_relation(
    records: PairRecord | Sequence[PairRecord],
    first: ModelKind,
    second: ModelKind,
    settings: CrossRelationSettings | None = None,
) -> CrossRelationFit:
    """Estimate the dynamics of two sensors that see one unknown measurand.

    With y1 = H1 u and y2 = H2 u, H2 y1 = H1 y2 whatever u is: the ratio H2/H1 is seen, and with it every pole and zero
    that the two do not share (Hung, Irwin & others on two-thermocouple probes; Tagawa & Ohta, Combustion and Flame 109
    (1997) 549). Solved as errors in variables, so that noise on either sensor biases nothing. The gain of the first is
    stated, not found. Sampling must be fast enough that the sensors' lags have taken most of the measurand away at 0.45
    of the sampling rate.

    Parameters
    ----------
    records : PairRecord or several
        Evenly sampled runs at one rate, each of at least 256 samples; cut at gaps.
    first, second : ModelKind
        First or second order. With a lead-lag sensor the verdict is that this cannot be identified.

    Raises
    ------
    InvalidData
        If a record is not finite, constant, saturated or uneven, or there is no such model.
    """
    settings = settings or CrossRelationSettings()
    spectra = PairSpectra.of([records] if isinstance(records, PairRecord) else records)
    if ModelKind.LEAD_LAG in (first, second):
        return _refused(Verdict.NOT_IDENTIFIABLE, _LEAD_LAG, spectra)
    problem = CrossRelation(model_of(first), model_of(second), spectra, settings.gain_first)
    if _alike(spectra):
        return _refused(Verdict.NOT_IDENTIFIABLE, _ALIKE, spectra)
    noise = _noise(spectra, settings)
    begins = starts(problem.first, problem.second, spectra, noise, settings.gain_first)
    found = [at for x in begins if (at := problem.solve(x, noise)) is not None]
    if not found:
        return _refused(Verdict.DIVERGED, "no start led to a fit", spectra)
    best = min(found, key=lambda at: at.chi2)
    if settings.noise_std is None:
        best, noise = _with_noise(problem, best, noise)
    return _result(problem, best, noise, settings)


def _noise(spectra: PairSpectra, settings: CrossRelationSettings) -> FloatArray:
    """Return noise variances to begin with, shape (2,)."""
    if settings.noise_std is not None:
        return np.square(np.asarray(settings.noise_std, dtype=np.float64))
    return np.maximum(spectra.floors(), _least(spectra))


def _least(spectra: PairSpectra) -> float:
    return _LEAST_NOISE * float(np.mean(np.abs(spectra.first) ** 2))


def _alike(spectra: PairSpectra) -> bool:
    """Whether the sensors' records differ by a gain and white noise alone, for the gain that says so best."""
    order = np.argsort(spectra.f_hz, kind="stable")

    def doubt(log_ratio: float) -> float:
        power = np.abs(spectra.first * (sign * np.exp(log_ratio)) - spectra.second)[order] ** 2
        left = float(np.mean(power))
        return float(_unevenness(power / left)[0]) if left > 0 else 0.0  # one record, wired twice

    ratio = start_ratio(spectra)
    if ratio == 0:
        return False
    sign, middle = np.sign(ratio), float(np.log(abs(ratio)))
    best = minimize_scalar(doubt, bounds=(middle - 0.3, middle + 0.3), method="bounded", options={"maxiter": 60})
    return bool(best.fun < chi2.isf(_ALIKE_P, _BANDS))


def _with_noise(problem: CrossRelation, best: Residuals, noise: FloatArray) -> tuple[Residuals, FloatArray]:
    """Estimate parameters and noise in turn."""
    for _ in range(_ROUNDS):
        new = noise_of(best, _least(problem.spectra))
        there = problem.solve(best.x, new)
        if there is None:
            break
        # in units of the residuals: far below one standard deviation
        settled = float(np.sum((there.jacobian @ (there.x - best.x)) ** 2)) < _SAME
        best, noise = there, new
        if settled:
            break
    return best, noise


def _result(
    problem: CrossRelation, at: Residuals, noise: FloatArray, settings: CrossRelationSettings
) -> CrossRelationFit:
    inner = covariance(problem, at, noise, settings.u_clock_s, noise_known=settings.noise_std is not None)
    if inner is None or not bool(np.all(np.diag(inner) > 0)):
        return _refused(Verdict.NOT_IDENTIFIABLE, _ALIKE, problem.spectra)
    theta, cov = _physical(problem, at.x, inner, settings)
    p = problem.first.n_parameters
    names = [f"first.{n}" for n in problem.first.names] + [f"second.{n}" for n in problem.second.names]
    unobservable = _unknown(names, theta, cov, settings.max_relative_u)
    reduced = at.chi2 / problem.n_degrees
    consistency = _consistency(problem.spectra, at, reduced if settings.noise_std is None else 1.0)
    verdict, detail = Verdict.ACCEPTED, "both sensors' dynamics explain each other's record"
    if consistency < _INCONSISTENT_P:
        verdict = Verdict.INCONSISTENT
        detail = _NO_NOISE
    elif unobservable:
        verdict, detail = Verdict.NOT_IDENTIFIABLE, f"the data do not determine {', '.join(unobservable)}"
    elif trouble_with_gain(float(theta[p] / theta[0])):
        verdict, detail = Verdict.INCONSISTENT, trouble_with_gain(float(theta[p] / theta[0]))
    stands = verdict in {Verdict.ACCEPTED, Verdict.INCONSISTENT}
    first = Parameters(problem.first.kind, problem.first.names, theta[:p], cov[:p, :p])
    second = Parameters(problem.second.kind, problem.second.names, theta[p:], cov[p:, p:])
    std = np.sqrt(noise)
    return CrossRelationFit(
        verdict=verdict,
        first=first if stands else None,
        second=second if stands else None,
        cov=cov if stands else None,
        unobservable=unobservable,
        noise_std=(float(std[0]), float(std[1])),
        reduced_chi2=reduced,
        consistency_p=consistency,
        n_samples=problem.spectra.n_samples,
        method=METHOD,
        detail=detail,
    )


def _physical(
    problem: CrossRelation, x: FloatArray, cov: FloatArray, settings: CrossRelationSettings
) -> tuple[FloatArray, FloatArray]:
    """Return (θ1, θ2) and their joint covariance, the stated gain's uncertainty included."""
    eta1, eta2 = problem.split(x)
    p, q = eta1.size, eta2.size
    transform = np.zeros((p + q, p + q))
    transform[:p, :p] = problem.first.internal_jacobian(eta1)
    transform[p:, p:] = problem.second.internal_jacobian(eta2)
    theta = np.concatenate([problem.first.from_internal(eta1), problem.second.from_internal(eta2)])
    scale = np.zeros(p + q)  # both gains follow the stated one
    scale[0], scale[p] = settings.u_gain_first, settings.u_gain_first * theta[p] / theta[0]
    return theta, transform[:, 1:] @ cov @ transform[:, 1:].T + np.outer(scale, scale)


def _unknown(names: Sequence[str], theta: FloatArray, cov: FloatArray, limit: float) -> tuple[str, ...]:
    u = np.sqrt(np.diag(cov))
    return tuple(name for name, bad in zip(names, ~(u <= limit * np.abs(theta)), strict=True) if bad)


def _consistency(spectra: PairSpectra, at: Residuals, scale: float) -> float:
    """Return the p-value of the residuals' mean power being `scale` in every band."""
    n = spectra.f_hz.size
    power = (at.e[:n] ** 2 + at.e[n:] ** 2)[np.argsort(spectra.f_hz, kind="stable")] / (2 * scale)
    statistic, bands = _unevenness(power)
    return float(chi2.sf(statistic, bands))


def _unevenness(power: FloatArray) -> tuple[float, int]:
    """Return by how much powers of expectation 1, in order of frequency, differ from band to band; chi-squared.

    24 bands, narrow ones at low frequencies: that is where sensors that lag differ. Powers are exponential.
    """
    n = power.size
    edges = np.unique(np.append(np.geomspace(_LEAST_IN_BAND, n, _BANDS).astype(int), 0))
    edges = edges[np.append(True, np.diff(edges) >= _LEAST_IN_BAND)]
    edges[-1] = n
    sums, counts = np.add.reduceat(power, edges[:-1]), np.diff(edges)
    score = norm.isf(np.clip(gamma.sf(sums, counts), 1e-300, 1 - 1e-16))
    return float(np.sum(score**2)), score.size


def _refused(verdict: Verdict, detail: str, spectra: PairSpectra) -> CrossRelationFit:
    nan = float("nan")
    return CrossRelationFit(verdict, None, None, None, (), (nan, nan), nan, nan, spectra.n_samples, METHOD, detail)
