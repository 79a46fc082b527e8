"""Readable references of the compiled kernels of online identification: plain numpy, as the equations are written."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.online.block import BlockData
from dyncal.models import Hold, SensorModel, model_of

PIECES = 4


def noise_gain(model: SensorModel, eta: FloatArray, h_s: float, kappa: float) -> FloatArray:
    """K(κ), (2,): the Riccati equation iterated from zero until nothing moves."""
    phi, q = discretised_noise(model, eta, h_s)
    c = np.asarray(model.output)[None, :]
    P = np.exp(kappa) * q
    K = np.zeros((2, 1))
    for _ in range(1_000_000):
        K = P @ c.T / (c @ P @ c.T + 1)
        new = phi @ (np.eye(2) - K @ c) @ P @ phi.T + np.exp(kappa) * q
        if np.abs(new - P).max() <= 1e-13 * np.abs(new).max():
            break
        P = new
    return np.asarray(K[:, 0])


def discretised_noise(model: SensorModel, eta: FloatArray, h_s: float) -> tuple[FloatArray, FloatArray]:
    """Φ and Q of an interval in which the input is `PIECES` independent steps, each (2, 2)."""
    parts = model.discretise(eta, h_s * np.arange(1, PIECES + 1) / PIECES, Hold.ZERO)
    reach = np.diff(parts.gamma[:, :, 0], axis=0, prepend=0.0)
    return parts.phi[-1], PIECES * reach.T @ reach


def innovations(
    model: SensorModel, h: FloatArray, shape: FloatArray, data: BlockData, x: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The recursion over a block, one line of the reference after the other: innovations and the last state."""
    gain = np.zeros(2) if h[-1] <= -40 else noise_gain(model, shape, data.middle_s, float(h[-1]))
    parts = model.discretise(h[:-1], data.steps_s / data.stride)
    c = np.asarray(model.output)
    e = np.zeros(data.t_ns.size)
    x = x.copy()
    for k in range(data.t_ns.size):
        if k > 0:
            i = data.index[k - 1]
            for j in range((k - 1) * data.stride, k * data.stride):
                x = parts.phi[i] @ x + parts.gamma[i] @ np.array([r[j], r[j + 1]])
        if k > 0 or data.fresh:
            e[k] = data.y[k] - c @ x
            x = x + gain * e[k]
    return e, x


def inverse(information: FloatArray) -> FloatArray:
    """Invert an information matrix, scaled to a unit diagonal so that units do not matter."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    unit = information * np.outer(scale, scale)
    return np.asarray(np.linalg.inv(unit + 1e-13 * np.eye(scale.size)) * np.outer(scale, scale))


def disagreement(a: FloatArray, b: FloatArray, variance: float, information: FloatArray, p: int) -> FloatArray:
    """Whitened gradient of a block at the prior: b'(A + A P A)⁻¹b is its squared norm."""
    a, b = a[:p, :p] / variance, b[:p] / variance
    scale = np.sqrt(np.diag(a))
    unit, cov = a / np.outer(scale, scale), inverse(information)[:p, :p] * np.outer(scale, scale)
    spread = unit + unit @ cov @ unit + 1e-12 * np.eye(p)
    return np.asarray(np.linalg.solve(np.linalg.cholesky(spread), b / scale))


def difference(
    a: FloatArray, b: FloatArray, variance: float, h: FloatArray, newest: FloatArray, trace: FloatArray
) -> float:
    """D/p of a block's own parameters, h̄ + A⁻¹b, against those of the block before, and of a trace of the past."""
    p = newest.shape[0]
    before = newest[:, :p] + trace[:p, :p]
    there = np.linalg.solve(before, newest[:, p] + trace[:p, :p] @ h[:p])
    own = a[:p, :p] / variance
    gap = h[:p] + np.linalg.solve(own, b[:p] / variance) - there
    return float(gap @ np.linalg.solve(np.linalg.inv(own) + np.linalg.inv(before), gap) / p)


def forgotten(information: FloatArray, new: FloatArray, rate: float) -> FloatArray:
    """L without the share that the new information replaces: with A v = a L v, direction v loses min(a, rate)."""
    scale = np.sqrt(np.diag(information))
    root = np.linalg.cholesky(information / np.outer(scale, scale) + 1e-13 * np.eye(scale.size))
    half = np.linalg.solve(root, new / np.outer(scale, scale))
    shares, directions = np.linalg.eigh(np.linalg.solve(root, half.T))
    turned = root @ directions
    return np.asarray((turned * (1 - np.clip(shares, 0.0, rate))) @ turned.T * np.outer(scale, scale))


def renewed(
    information: FloatArray, considered: FloatArray, a: FloatArray, cross: FloatArray, variance: float, rate: float
) -> tuple[FloatArray, FloatArray]:
    """L ← F(L) + A, and C ← L⁻¹(F(L) C - cross/σ²)."""
    kept = forgotten(information, a / variance, rate)
    after = kept + a / variance
    return after, inverse(after) @ (kept @ considered - cross / variance)


def evidence(
    kind: ModelKind, h: FloatArray, a: FloatArray, b: FloatArray, variance: float, known: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A block's own score and information in θ, marginal over the noise's coordinates as well as they are known."""
    model = model_of(kind)
    p = model.n_parameters
    a, b = a / variance, b / variance
    mix = a[:p, p:] @ inverse(known[p:, p:])
    inward = np.linalg.inv(model.internal_jacobian(h[:p]))
    return inward.T @ b[:p], inward.T @ (a[:p, :p] - mix @ a[p:, :p]) @ inward
