"""Exact intervals of a sensor that is driven by straight lines or by steps from sample to sample.

Only the values at the samples are random, and move as a process does; between them the measurand is known. With Γ0 and
Γ1 of the sensor (``x₊ = Φ x + Γ0 w + Γ1 w₊``, as in `dyncal.models.base.Discretisation`) and ``w₊ = φ w + ε`` of the
process, whose first state is the measurand::

    x₊ = Φ x + (Γ0 eᵀ + Γ1 eᵀφ) w + Γ1 eᵀε

so that the joint covariance of an interval is L cov(ε) Lᵀ with L = [Γ1 eᵀ; I]. That has the rank of the process: what
the sensor does between two samples, nothing else is to explain.
"""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.discretisation import discretise
from dyncal.models import Hold

Intervals = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def held(
    a: FloatArray, da: FloatArray, g: FloatArray, dg: FloatArray, steps_s: FloatArray, n_sensor: int, hold: Hold
) -> Intervals:
    """Return Φ, Q and their derivatives for intervals h [s].

    Parameters
    ----------
    a, g : float64, shape (n, n); da, dg : float64, shape (n, n, m)
        The joint model, the sensor's states first, as for a measurand in continuous time.
    steps_s : float64, shape (i,)
    n_sensor : int
        States of the sensor.
    hold : Hold

    Returns
    -------
    phi, q : float64, shape (i, n, n)
    dphi, dq : float64, shape (i, n, n, m)
    """
    s, n, m, i = n_sensor, a.shape[0], da.shape[2], steps_s.size
    phi, q = np.zeros((i, n, n)), np.empty((i, n, n))
    dphi, dq = np.zeros((i, n, n, m)), np.empty((i, n, n, m))
    (phi[:, :s, :s], dphi[:, :s, :s]), (before, dbefore), (after, dafter) = _driven(a, da, steps_s, s, hold)
    inner = np.s_[s:, s:]
    chain, dchain, noise, dnoise = (np.ascontiguousarray(part[inner]) for part in (a, da, g, dg))
    own, cov, down, dcov = discretised(chain, dchain, noise, dnoise, steps_s)
    phi[:, s:, s:], dphi[:, s:, s:] = own, down
    first, dfirst = own[:, 0], down[:, 0]
    phi[:, :s, s:] = after[:, :, None] * first[:, None]
    phi[:, :s, s] += before
    dphi[:, :s, s:] = dafter[:, :, None] * first[:, None, :, None] + after[:, :, None, None] * dfirst[:, None]
    dphi[:, :s, s] += dbefore
    # Q = L cov Lᵀ, L with Γ1 in the column of the measurand and the identity below
    across, dacross = cov[:, 0], dcov[:, 0]
    variance, dvariance = cov[:, 0, 0], dcov[:, 0, 0]
    square = after[:, :, None] * after[:, None]
    dsquare = dafter[:, :, None] * after[:, None, :, None] + after[:, :, None, None] * dafter[:, None]
    q[:, :s, :s] = square * variance[:, None, None]
    dq[:, :s, :s] = dsquare * variance[:, None, None, None] + square[..., None] * dvariance[:, None, None]
    q[:, :s, s:] = after[:, :, None] * across[:, None]
    dq[:, :s, s:] = dafter[:, :, None] * across[:, None, :, None] + after[:, :, None, None] * dacross[:, None]
    q[:, s:, :s], dq[:, s:, :s] = q[:, :s, s:].transpose(0, 2, 1), dq[:, :s, s:].transpose(0, 2, 1, 3)
    q[:, s:, s:], dq[:, s:, s:] = cov, dcov
    return phi, q, dphi, dq


def _driven(
    a: FloatArray, da: FloatArray, steps_s: FloatArray, s: int, hold: Hold
) -> tuple[tuple[FloatArray, FloatArray], ...]:
    """Return Φ (i, s, s), Γ0 and Γ1 (i, s) of the sensor, each with its derivatives."""
    # the sensor, a value that it is driven by, and how fast that moves
    driven, ddriven = np.zeros((s + 2, s + 2)), np.zeros((s + 2, s + 2, da.shape[2]))
    driven[:s, : s + 1], ddriven[:s, : s + 1] = a[:s, : s + 1], da[:s, : s + 1]
    driven[s, s + 1] = 1.0
    whole, _, dwhole, _ = discretised(driven, ddriven, np.zeros_like(driven), np.zeros_like(ddriven), steps_s)
    held, dheld = whole[:, :s, s], dwhole[:, :s, s]
    if hold is Hold.FIRST:
        after, dafter = whole[:, :s, s + 1] / steps_s[:, None], dwhole[:, :s, s + 1] / steps_s[:, None, None]
    else:
        after, dafter = np.zeros_like(held), np.zeros_like(dheld)
    return (whole[:, :s, :s], dwhole[:, :s, :s]), (held - after, dheld - dafter), (after, dafter)


def discretised(a: FloatArray, da: FloatArray, g: FloatArray, dg: FloatArray, steps_s: FloatArray) -> Intervals:
    """Return Φ, Q and their derivatives, shapes as for `held`, for a process in continuous time."""
    n, m, i = a.shape[0], da.shape[2], steps_s.size
    parts = np.empty((i, n, n)), np.empty((i, n, n)), np.empty((i, n, n, m)), np.empty((i, n, n, m))
    discretise(a, da, g, dg, steps_s, *parts)
    return parts
