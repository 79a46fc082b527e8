"""Readable references of filters with uncertain coefficients: the equations, one sample after the other.

`iir` is written in the state-space matrices of Link & Elster (2009), not in the two recursions that the code under test
has, so that the two are independent.
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.domain.samples import FloatArray


def iir(b: FloatArray, a: FloatArray, cov: FloatArray, x: FloatArray, u_x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (y, u) from a constant past; b and a of one length, `cov` of (a1 …, b0 …)."""
    p = a.size - 1
    A = np.eye(p, k=1)
    A[-1] = -a[1:][::-1]
    B = np.eye(p)[-1]
    c = (b[1:] - b[0] * a[1:])[::-1]
    rest = np.linalg.inv(np.eye(p) - A)
    z = rest @ B * x[0]
    dz = rest @ np.array([np.r_[np.zeros(p - 1), -z[p - 1 - k]] for k in range(p)]).T
    P = np.linalg.solve(np.eye(p * p) - np.kron(A, A), (u_x[0] ** 2 * np.outer(B, B)).reshape(-1)).reshape(p, p)
    y, u = np.empty(x.size), np.empty(x.size)
    for n in range(x.size):
        newest = z[::-1]  # w[n-1], w[n-2] …
        y[n] = c @ z + b[0] * x[n]
        phi = np.r_[c @ dz - b[0] * newest, x[n] - a[1:] @ newest, newest]
        u[n] = math.sqrt(phi @ cov @ phi + c @ P @ c + (b[0] * u_x[n]) ** 2)
        pull = np.zeros((p, p))
        pull[-1] = -newest
        P = A @ P @ A.T + u_x[n] ** 2 * np.outer(B, B)
        dz = A @ dz + pull
        z = A @ z + B * x[n]
    return y, u


def fir(taps: FloatArray, cov: FloatArray, x: FloatArray, u_x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (y, u) by Elster & Link (2008), eq. 34, NaN where the window is not whole."""
    n_taps = taps.size
    y, u = np.full(x.size, np.nan), np.full(x.size, np.nan)
    for n in range(n_taps - 1, x.size):
        window, noise = x[n - n_taps + 1 : n + 1][::-1], np.diag(u_x[n - n_taps + 1 : n + 1][::-1] ** 2)
        y[n] = taps @ window
        u[n] = math.sqrt(taps @ noise @ taps + window @ cov @ window + float(np.trace(cov @ noise)))
    return y, u
