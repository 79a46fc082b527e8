"""From a first estimate to a followed one."""

from __future__ import annotations

import numpy as np

from dyncal.identification import report
from dyncal.identification.online import passes
from dyncal.identification.online.block import end_of
from dyncal.identification.online.fleet.outcomes import Outcomes
from dyncal.identification.online.fleet.state import FleetState
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.renewal import QUIET, renew_blocks
from dyncal.identification.online.shifts import weigh_shifts
from dyncal.identification.online.start import Started, kappa_prior
from dyncal.models import SensorModel


def founded(state: FleetState, i: int, model: SensorModel, found: Started) -> Outcomes:
    """Begin to follow sensor i with what was found, and return the block that it was found in."""
    p, fit, data = model.n_parameters, found.fit, found.data
    last, m = fit.last, fit.h.size
    information, considered = kappa_prior(m)[None], np.zeros((1, m, 2))
    theta, cov, score, evidence = np.empty((1, p)), np.empty((1, p, p)), np.empty((1, p)), np.empty((1, p, p))
    renew_blocks(
        passes.CODES[model.kind], np.zeros(1), fit.h[None], last.a[None], fit.b[None],
        np.ascontiguousarray(last.cross)[None], np.array([found.variance]),
        information, considered, theta, cov, score, evidence,
    )  # fmt: skip
    posterior = Posterior(fit.h, information[0], considered[0], found.variance, float(data.n), np.zeros(p))
    state.put(i, posterior, found.interpolation)
    weight, pull, motion, moved = np.zeros((1, 2, 2)), np.zeros((1, 2)), np.zeros((1, 3)), np.empty((1, 3))
    passes.motion(np.ascontiguousarray(data.r[:: data.stride]), moved[0])
    weigh_shifts(
        p, last.a[None], fit.b[None], np.ascontiguousarray(last.cross)[None], np.ascontiguousarray(last.own)[None],
        (last.pull - fit.step @ last.cross)[None], np.array([found.variance]),
        np.array([found.variance]), np.ones(1), np.zeros(1), np.array([QUIET]),
        information, np.zeros((1, m, 2)), considered, moved, weight, pull, motion, np.zeros(1, dtype=np.int64),
        np.empty((1, 2)),
    )  # fmt: skip
    state.shift_weight[i], state.shift_score[i], state.motion[i] = weight[0], pull[0], motion[0]
    end = end_of(fit, p)
    state.x[i], state.s[i] = end.x, end.s
    share = float(np.clip(1 - np.asarray(model.output)[:2] @ last.gain, 0.01, 1.0))
    statistic, lags = report.portmanteau(last.e)
    power = float(np.mean(last.e**2)) / found.variance
    state.residuals[i] = power, statistic, lags, found.unexplained, share
    from_ns, to_ns = data.t_ns[:1], data.t_ns[-1:]
    state.window[i] = data.n, from_ns[0], to_ns[0]
    yes, no = np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.bool_)
    return Outcomes(
        np.array([i]), from_ns.copy(), to_ns.copy(), np.array([data.n]), yes, no, no, theta, cov, score, evidence,
        np.array([np.sqrt(max(fit.sse, 0.0) / data.n)]),
    )  # fmt: skip
