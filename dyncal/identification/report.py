"""From the estimator's coordinates to what is reported: physical parameters, uncertainty, verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.identification.screen import trouble_with_gain
from dyncal.identification.settings import OnlineSettings
from dyncal.models import SensorModel

if TYPE_CHECKING:
    from dyncal.identification.online.posterior import Posterior

from dyncal.identification.records import Estimate

_LAGS: Final = 12
METHOD: Final = "online block-MAP, innovations form"
FULL: Final = "online block-MAP, Kalman likelihood"
_FOLLOWS: Final = 1 / 4  # where it was asked for: share of the noise in what the form corrects by, at least
_SCATTERS: Final = 3.0  # Birge ratio of blocks that no one set of parameters explains
_NOT_MEASURED: Final = ("saturated", "stands still", "repeats each value")


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals of the newest excited block.

    Mean square over the pooled variance, Ljung-Box statistic and its number of lags (0: not known), unexplained share.

    `noise_share` is the part of the innovations' variance that is the sensor's own noise: R = σ²(1 - cK), as in a
    Kalman filter at rest; the rest is what the reference did not show of the measurand.
    """

    chi2: float
    ljung_box: float
    lags: float
    unexplained: float
    noise_share: float

    @property
    def whiteness_p(self) -> float:
        """p-value of the hypothesis that the residuals are white; NaN where there were too few."""
        from scipy.special import gammaincc  # noqa: PLC0415 - not needed where estimates are only read

        return float(gammaincc(self.lags / 2, self.ljung_box / 2)) if self.lags else float("nan")


def portmanteau(e: FloatArray) -> tuple[float, int]:
    """Return the statistic of Ljung & Box (1978) of `e`, shape (n,), and its number of lags; 0 where there is none."""
    n = e.size
    lags = min(_LAGS, n // 5)
    power = float(e @ e)
    if lags < 1 or power <= 0:
        return 0.0, 0
    rho = np.array([float(e[k:] @ e[:-k]) for k in range(1, lags + 1)]) / power
    return n * (n + 2) * float(np.sum(rho**2 / (n - np.arange(1, lags + 1)))), lags


def ljung_box(e: FloatArray) -> float:
    """Return the p-value of the hypothesis that `e`, shape (n,), is white, from its first lags; NaN if too short."""
    from scipy.special import gammaincc  # noqa: PLC0415 - not needed where estimates are only read

    statistic, lags = portmanteau(e)
    return float(gammaincc(lags / 2, statistic / 2)) if lags else float("nan")


def physical(model: SensorModel, h: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return θ (p,) and its covariance (p, p) from coordinates h = (η, κ) and theirs."""
    p = model.n_parameters
    jacobian = model.internal_jacobian(h[:p])
    return model.from_internal(h[:p]), jacobian @ cov[:p, :p] @ jacobian.T


def spread(posterior: Posterior, settings: OnlineSettings) -> FloatArray:
    """Return the covariance of the coordinates (m, m) with what offsets of the reference and its clock contribute."""
    considered = posterior.considered * np.array([settings.u_reference, settings.u_clock_s])
    found: FloatArray = posterior.scatter * posterior.cov + considered @ considered.T
    return found


@dataclass(frozen=True, slots=True)
class Window:
    """The samples that an estimate rests on."""

    n_samples: int
    from_ns: int
    to_ns: int


def estimate(
    model: SensorModel,
    posterior: Posterior,
    found: tuple[FloatArray, FloatArray],
    residuals: Residuals,
    window: Window,
    settings: OnlineSettings,
    *,
    trouble: str,
    method: str = METHOD,
) -> Estimate:
    """Return what is known, with a verdict; `found` are θ and its covariance as they are reported."""
    theta, cov = found
    unobservable = unknown(model, theta, cov, settings.max_relative_u)
    verdict, detail = _verdict(theta, residuals, unobservable, trouble)
    if (scatter := posterior.scatter) > 1:
        detail += f"; blocks scatter by {np.sqrt(scatter):.2g} times their noise: it is coloured, u is widened"
    return Estimate(
        verdict=verdict,
        parameters=Parameters(model.kind, model.names, theta, cov),
        unobservable=unobservable,
        noise_std=float(np.sqrt(posterior.variance * residuals.noise_share)),
        reduced_chi2=residuals.chi2,
        whiteness_p=residuals.whiteness_p,
        n_samples=window.n_samples,
        window_from_ns=window.from_ns,
        window_to_ns=window.to_ns,
        method=method,
        detail=detail,
    )


def unknown(model: SensorModel, theta: FloatArray, cov: FloatArray, limit: float) -> tuple[str, ...]:
    """Name the parameters whose standard uncertainty exceeds `limit`, relative.

    A lead has no size of its own (0 is a good value): it is measured against the longer lag.
    """
    size = [abs(value) for value in theta.tolist()]
    if model.names[-1] == "tauz_s":
        size[-1] = max(size[-1], size[1])
    u = [math.sqrt(max(variance, 0.0)) for variance in cov.diagonal().tolist()]
    return tuple(name for name, each, own in zip(model.names, u, size, strict=True) if not each <= limit * own)


def _verdict(
    theta: FloatArray, residuals: Residuals, unobservable: tuple[str, ...], trouble: str
) -> tuple[Verdict, str]:
    against = trouble_with_gain(float(theta[0])) or trouble
    if against:
        return verdict_of(against), against
    if unobservable:
        return Verdict.NOT_IDENTIFIABLE, f"the data do not determine {', '.join(unobservable)}"
    if not np.isfinite(theta).all():
        return Verdict.DIVERGED, "the estimate is not finite"
    return Verdict.ACCEPTED, f"the model explains {100 * (1 - residuals.unexplained):.2f} % of the newest block"


def unfit(posterior: Posterior, residuals: Residuals, settings: OnlineSettings) -> str:
    """Say why the innovations form, which was asked for, is not to be believed; empty where it is.

    Elsewhere the full likelihood takes over long before (`fleet.followers`). Offsets that are stated may be why,
    and widen u by what they do.
    """
    if settings.u_reference or settings.u_clock_s:
        return ""
    if (share := residuals.noise_share) < _FOLLOWS:
        return (
            f"the innovations form, which was asked for, follows the indication ({100 * (1 - share):.0f} % of each "
            "innovation) and not the reference: it says little of the sensor"
        )
    if (scatter := posterior.scatter) > _SCATTERS:
        return f"blocks scatter by {np.sqrt(scatter):.2g} times their noise: no parameters explain all of them"
    return ""


def verdict_of(trouble: str) -> Verdict:
    """Return the verdict that goes with what is wrong: values that were not measured, or a pair that does not fit."""
    return Verdict.BAD_DATA if any(words in trouble for words in _NOT_MEASURED) else Verdict.INCONSISTENT


def without(found: Estimate, left_out: int) -> Estimate:
    """Return an estimate that says how many values were left out before."""
    if not left_out:
        return found
    return replace(found, detail=f"{found.detail}; {left_out} values leapt and came back: taken as not measured")


def outdated(found: Estimate, verdict: Verdict, detail: str) -> Estimate:
    """Return the last good estimate of a sensor that is not followed any more, with the verdict that says why."""
    return replace(found, verdict=verdict, detail=f"{detail}; the parameters are the last good ones")


def refusal(verdict: Verdict, detail: str, at_ns: int) -> Estimate:
    """Return an estimate without numbers."""
    nan = float("nan")
    return Estimate(verdict, None, (), nan, nan, nan, 0, at_ns, at_ns, METHOD, detail)
