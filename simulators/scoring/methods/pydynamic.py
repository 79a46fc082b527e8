"""PyDynamic's methods, for an environment that has it (`make foreign`): a fit of points, and a deconvolution filter.

(Eichstädt et al., *PyDynamic*, PTB and others; `fit_som`: Link et al., 2006; `LSFIR`: Elster & Link, Metrologia 45
(2008) 464.) Settings are those that its own examples have.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

Record = dict[str, Any]


def points(record: Record) -> Record:
    """`fit_som` weighted by the covariance: second order without dead time."""
    from PyDynamic.model_estimation.fit_transfer import fit_som  # noqa: PLC0415 - of its own environment

    if record["model"] != "second_order" or "delay_s" in record["parameters"]:
        return {"refused": "fits second-order models only"}
    np.random.seed(1)  # noqa: NPY002 - its global generator is the one that it draws from
    h = np.concatenate((record["real"], record["imag"]))
    cov = np.diag(np.tile(record["u"] ** 2, 2))
    if record["u_common"]:
        cov = cov + record["u_common"] ** 2 * np.outer(h, h)
    theta, cov_theta = fit_som(record["f_hz"], h, UH=cov, weighting="cov", MCruns=2000)
    u = np.sqrt(np.diag(cov_theta))
    names = ("gain", "damping", "f0_hz")
    return {"values": dict(zip(names, theta.tolist(), strict=True)), "u": dict(zip(names, u.tolist(), strict=True))}


def deconvolution(record: Record) -> Record:
    """`LSFIR` of 1/H, 13 taps up to four times the stated bandwidth, behind a Kaiser low-pass at three times it.

    `FIRuncFilter` for values and u. Of 36 settings (taps, frequencies, weights, low-pass) the best on three members.
    """
    from PyDynamic.misc.filterstuff import kaiser_lowpass  # noqa: PLC0415 - of its own environment
    from PyDynamic.model_estimation.fit_filter import LSFIR  # noqa: PLC0415
    from PyDynamic.uncertainty.propagate_filter import FIRuncFilter  # noqa: PLC0415

    rate_hz, order, band_hz = 1 / record["dt_s"], 12, record["band_hz"]
    f = np.linspace(0, min(4 * band_hz, 0.49 * rate_hz), 200)
    names = list(record["parameters"])
    theta = np.array([record["parameters"][name] for name in names])
    h = _response(record["model"], dict(zip(names, theta, strict=True)), f)
    rows = []
    for i, name in enumerate(names):
        moved = theta.copy()
        moved[i] += record["u"][name]
        rows.append(_response(record["model"], dict(zip(names, moved, strict=True)), f) - h)
    jacobian = np.concatenate((np.real(rows), np.imag(rows)), axis=1)
    cov = jacobian.T @ jacobian + 1e-16 * np.eye(2 * f.size)
    with contextlib.redirect_stdout(io.StringIO()):
        points = np.concatenate((h.real, h.imag))
        taps, cov_taps = LSFIR(points, order, f, rate_hz, order // 2, inv=True, UH=cov, verbose=False)
        low, _ = kaiser_lowpass(2 * round(rate_hz / band_hz) + 1, 3 * band_hz, rate_hz)
        late = order // 2 + (low.size - 1) // 2
        value, u = FIRuncFilter(record["indication"], record["noise_std"], taps, cov_taps, shift=late, blow=low)
    return {"value": value, "u": u}


def _response(model: str, theta: dict[str, float], f_hz: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    s = 2j * np.pi * f_hz
    g = theta["gain"]
    if model == "first_order":
        h = g / (1 + s * theta["tau_s"])
    elif model == "second_order":
        w = 2 * np.pi * theta["f0_hz"]
        h = g * w**2 / (s**2 + 2 * theta["damping"] * w * s + w**2)
    else:
        h = g * (1 + s * theta["tauz_s"]) / ((1 + s * theta["tau1_s"]) * (1 + s * theta["tau2_s"]))
    return np.asarray(h)
