"""Readable references of the kernels."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.track import Track
from dyncal.models import Hold, SensorModel


def naive_residuals(
    model: SensorModel, eta: FloatArray, track: Track, x0: FloatArray, gain: FloatArray, offset: float = 0.0
) -> FloatArray:
    """The innovations of a segment, by matrix products a sub-interval at a time."""
    n = max(1, model.n_states)
    parts = model.discretise(eta, track.steps_s)
    c = np.asarray(model.output)[:n]
    held = model.discretise(eta, track.steps_s[:1], Hold.ZERO).gamma[0, :, 1]
    x, e = x0.copy(), np.empty(track.y.size)
    e[0] = track.y[0] - c @ x
    x = x + gain * e[0]
    for j, q in enumerate(track.index.tolist()):
        u = np.array([track.u0[j], track.u1[j]]) + offset
        x = parts.phi[q, :n, :n] @ x + parts.gamma[q, :n] @ u
        if track.jump[j]:
            x = x + held[:n] * track.jump[j]
        k = track.observed[j]
        if k >= 0:
            e[k] = track.y[k] - c @ x
            x = x + gain * e[k]
    return e
