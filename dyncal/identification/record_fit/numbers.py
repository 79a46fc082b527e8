"""What a likelihood gives, in one form for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.record_fit.bridge_effect import moved_by_bridges
from dyncal.identification.record_fit.full_likelihood import FullFit, coordinates
from dyncal.identification.record_fit.method import WHITE
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.stages import Setup, Stage
from dyncal.identification.report import ljung_box

_PARTS: Final = 32
_EXACT: Final = 1e-9
_ROUNDING: Final = 1e-12  # of the indications: no descent goes on below it


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Coordinates h = (η, T, offset) with their covariance, (p + 2,) and (p + 2, p + 2), and the residuals in numbers.

    Rows of coordinates that were not free are 0. `widened` is the factor on the covariance for residuals that are not
    white, `by_bridges` the largest ratio of what bridges in the reference move to u without them; `n_values` and
    `n_estimated` count what went in and what was estimated, initial states and noise included.
    """

    h: FloatArray
    cov: FloatArray
    noise_std: float
    reduced_chi2: float
    whiteness_p: float
    log_likelihood: float
    n_values: int
    n_estimated: int
    widened: float = 1.0
    by_bridges: float = 0.0


def of_innovations(setup: Setup, stage: Stage) -> Numbers:
    """Return the numbers of output error or of the innovations form; the noise variance is estimated."""
    p, n, e, core = setup.model.n_parameters, stage.problem.n_y, stage.e, stage.core
    noise = stage.problem.noise
    n_estimated = core.size + stage.problem.n_segments * setup.model.n_states + (noise.n_parameters if noise else 0)
    sse = max(float(e @ e), 1e-300)
    variance = sse / max(n - n_estimated, 1)
    white, exact = ljung_box(e), variance <= (_EXACT * float(np.std(setup.taken.y))) ** 2
    scatter = 1.0 if exact else dispersion(stage, variance)
    widened = max(scatter, 1.0) if not white >= WHITE and not exact else 1.0
    a = stage.done.last.a[np.ix_(core, core)]
    cov = np.zeros((stage.problem.m, stage.problem.m))
    told = max(variance, _ROUNDING**2 * stage.problem.power)  # rounding does not average out
    cov[np.ix_(core, core)] = widened * inverse(a / told + np.diag(stage.prior.information[core]))
    for rival in stage.rivals:
        # a course between samples that would do as well is an uncertainty of its own
        cov += rival.weight * np.outer(rival.moved, rival.moved)
    bridges = moved_by_bridges(setup, stage)
    by_bridges = _share(bridges, cov, core)
    cov += bridges
    known = setup.settings.noise_std
    share = max(1 - stage.problem.output_gain(stage.h), 0.0)
    own = float(np.var(np.concatenate(stage.done.last.raw))) if noise else variance * share
    return Numbers(
        h=stage.h[: p + 2],
        cov=cov[: p + 2, : p + 2],
        noise_std=float(np.sqrt(own)),
        reduced_chi2=(own if noise else variance) / known**2 if known else scatter,
        whiteness_p=white,
        log_likelihood=-n / 2 * (float(np.log(2 * np.pi * sse / n)) + 1),
        n_values=n,
        n_estimated=n_estimated + 1,
        widened=widened,
        by_bridges=by_bridges,
    )


def of_kalman(setup: Setup, found: FullFit) -> Numbers:
    """Return the numbers of the full Kalman likelihood, whose values are those of both channels."""
    fit = found.fit
    h, cov = coordinates(found, setup.delayed)
    n_estimated = round(fit.aic / 2 + fit.log_likelihood)
    known = setup.settings.noise_std
    return Numbers(
        h=h,
        cov=cov,
        noise_std=fit.sensor_noise,
        reduced_chi2=(fit.sensor_noise / known) ** 2 if known else fit.reduced_chi2[1],
        whiteness_p=fit.whiteness_p[1],
        log_likelihood=fit.log_likelihood,
        n_values=2 * fit.n_samples,
        n_estimated=n_estimated,
    )


def _share(extra: FloatArray, cov: FloatArray, core: Int64Array) -> float:
    """Return the largest ratio of standard deviations of the coordinates `core`."""
    return float(np.sqrt(np.max(np.diag(extra)[core] / np.maximum(np.diag(cov)[core], 1e-300), initial=0.0)))


def dispersion(stage: Stage, variance: float) -> float:
    """Return the scatter of the score from part to part over what white residuals of this variance give it.

    1 for a model that fits; with coloured residuals the factor by which the covariance is too small.
    """
    core = stage.core
    parts = max(min(_PARTS // stage.problem.n_segments, stage.problem.n_y // 20), 1)
    scores = stage.problem.scores(stage.done.last, parts)[:, core]
    own = inverse(stage.done.last.a[np.ix_(core, core)]) / variance
    return float(np.trace(own @ (scores.T @ scores))) / core.size
