"""The filter as it is written down: covariances only, one measurement at a time, nothing differentiated."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.joint import JointModel, Layout, joint_model
from dyncal.identification.kalman.segments import Segment
from dyncal.models import Hold, SensorModel


def van_loan(a: FloatArray, g: FloatArray, h: float) -> tuple[FloatArray, FloatArray]:
    """Φ and Q from one matrix exponential (Van Loan, IEEE Trans. Autom. Control 23 (1978) 395)."""
    n = a.shape[0]
    block = np.zeros((2 * n, 2 * n))
    block[:n, :n], block[:n, n:], block[n:, n:] = -a, g, a.T
    whole = expm(block * h)
    phi = whole[n:, n:].T
    return phi, phi @ whole[:n, n:]


def interval(joint: JointModel, h: float) -> tuple[FloatArray, FloatArray]:
    """Φ and Q of one interval: by Van Loan's matrix, or where lines or steps join the samples, column by column."""
    if joint.hold is None:
        return van_loan(joint.a, joint.g, h)
    s, n = joint.n_sensor, joint.a.shape[0]
    own, cov = van_loan(joint.a[s:, s:], joint.g[s:, s:], h)

    def end(x: FloatArray, w: float, after: float) -> FloatArray:
        """Where the sensor ends that begins at x, driven from w to `after`."""
        system = np.zeros((s + 2, s + 2))
        system[:s, : s + 1], system[s, s + 1] = joint.a[:s, : s + 1], 1.0
        slope = (after - w) / h if joint.hold is Hold.FIRST else 0.0
        return np.asarray((expm(system * h) @ np.concatenate([x, [w, slope]]))[:s], dtype=np.float64)

    def step(xi: FloatArray, noise: FloatArray) -> FloatArray:
        w = own @ xi[s:] + noise
        return np.concatenate([end(xi[:s], float(xi[s]), float(w[0])), w])

    none = np.zeros(n - s)
    phi = np.stack([step(xi, none) for xi in np.eye(n)], axis=1)
    spread = np.stack([step(np.zeros(n), noise) for noise in np.eye(n - s)], axis=1)
    return phi, spread @ cov @ spread.T


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
    parts = {step: interval(joint, step) for step in np.unique(intervals).tolist()}
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
    parts = [interval(joint, step) for step in (np.diff(segment.t_ns) / 1e9).tolist()]
    mean, cov = np.zeros((k, n)), np.zeros((k, n, n))
    mean[0, : initial.size], cov[0] = initial, joint.cov
    for i, (phi, q) in enumerate(parts, 1):
        mean[i], cov[i] = phi @ mean[i - 1], phi @ cov[i - 1] @ phi.T + q
    whole = np.zeros((2 * k, 2 * k))
    for i in range(k):
        later = np.eye(n)
        for j in range(i, k):
            later = parts[j - 1][0] @ later if j > i else later
            across = joint.rows @ cov[i] @ later.T @ joint.rows.T
            whole[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = across
            whole[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = across.T
        whole[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] += np.diag(joint.noise)
    constant = joint.gains * segment.level
    e = (segment.z - constant - mean @ joint.rows.T).ravel()
    there = ~np.isnan(e)
    inner = whole[np.ix_(there, there)]
    return float(e[there] @ np.linalg.solve(inner, e[there]) + np.linalg.slogdet(inner)[1])
