"""The filter as it is written down: covariances only, one measurement at a time, nothing differentiated."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.joint import JointModel, Layout, joint_model
from dyncal.identification.kalman.segments import Segment
from dyncal.models import SensorModel


def van_loan(a: FloatArray, g: FloatArray, h: float) -> tuple[FloatArray, FloatArray]:
    """Φ and Q from one matrix exponential (Van Loan, IEEE Trans. Autom. Control 23 (1978) 395)."""
    n = a.shape[0]
    block = np.zeros((2 * n, 2 * n))
    block[:n, :n], block[:n, n:], block[n:, n:] = -a, g, a.T
    whole = expm(block * h)
    phi = whole[n:, n:].T
    return phi, phi @ whole[:n, n:]


def filtered(
    joint: JointModel, segment: Segment, initial: FloatArray, offset: float = 0.0
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """-2 ln L without constants, standardised innovations, last state and covariance."""
    n = joint.a.shape[0]
    x, p = np.zeros(n), joint.cov.copy()
    x[: initial.size] = initial
    cost, eps = 0.0, np.full(segment.z.shape, np.nan)
    constant = np.array([segment.level, joint.gains[1] * (segment.level - offset)])
    intervals = np.diff(segment.t_ns) / 1e9
    parts = {step: van_loan(joint.a, joint.g, step) for step in np.unique(intervals).tolist()}
    for k in range(segment.z.shape[0]):
        if k > 0:
            phi, q = parts[float(intervals[k - 1])]
            x, p = phi @ x, phi @ p @ phi.T + q
        for j in range(2):
            if np.isnan(segment.z[k, j]):
                continue
            row = joint.rows[j]
            e = segment.z[k, j] - constant[j] - row @ x
            s = row @ p @ row + joint.noise[j]
            gain = p @ row / s
            x = x + gain * e
            left = np.eye(n) - np.outer(gain, row)
            p = left @ p @ left.T + joint.noise[j] * np.outer(gain, gain)
            eps[k, j] = e / np.sqrt(s)
            cost += e**2 / s + np.log(s)
    return float(cost), eps, x, p


def likelihood(model: SensorModel, layout: Layout, segment: Segment, rows: FloatArray, scale_s: float) -> float:
    """-2 ln L as a function of all rows (h, offset of the reference, initial state)."""
    m = layout.n_coordinates
    joint = joint_model(model, layout, rows[:m], scale_s)
    return filtered(joint, segment, rows[layout.initial :], float(rows[layout.offset]))[0]


def gaussian(joint: JointModel, segment: Segment, initial: FloatArray) -> float:
    """The same from the covariance matrix of all measurements together, without a filter."""
    n, k = joint.a.shape[0], segment.z.shape[0]
    t = (segment.t_ns - segment.t_ns[0]) / 1e9
    mean, cov = np.zeros((k, n)), np.zeros((k, n, n))
    mean[0, : initial.size], cov[0] = initial, joint.cov
    for i in range(1, k):
        phi, q = van_loan(joint.a, joint.g, float(t[i] - t[i - 1]))
        mean[i], cov[i] = phi @ mean[i - 1], phi @ cov[i - 1] @ phi.T + q
    whole = np.zeros((2 * k, 2 * k))
    for i in range(k):
        for j in range(i, k):
            across = joint.rows @ cov[i] @ expm(joint.a * (t[j] - t[i])).T @ joint.rows.T
            whole[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = across
            whole[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = across.T
        whole[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] += np.diag(joint.noise)
    constant = joint.gains * segment.level
    e = (segment.z - constant - mean @ joint.rows.T).ravel()
    there = ~np.isnan(e)
    inner = whole[np.ix_(there, there)]
    return float(e[there] @ np.linalg.solve(inner, e[there]) + np.linalg.slogdet(inner)[1])
