"""Baselines that anybody would write with numpy and scipy, as they stand in textbooks; nothing of dyncal in them.

They run in any environment that has both. Where a method has no answer to a kind of record, it refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.signal

Record = dict[str, Any]
Floats = npt.NDArray[np.float64]


def rls_arx(record: Record) -> Record:
    """Recursive least squares of an ARX model, turned into physical parameters (Ljung, *System Identification*, 11.2).

    y_k = Σ a_i y_{k-i} + Σ b_i r_{k-i}, i from 1 and 0, of the sensor's order; no forgetting; u from σ² P through a
    numerical Jacobian. Irregular instants are taken for regular.
    """
    if "delay_s" in record["parameters"] or record["model"] == "rational":
        return {"refused": "no dead time in this model"}
    order = 1 if record["model"] == "first_order" else 2
    y, r = record["indication"], record["reference"]
    coefficients, cov = _rls(y, r, order)
    dt_s, names = record["dt_s"], record["parameters"]
    try:
        values = _physical(coefficients, order, dt_s, names)
        rows = []
        for i in range(coefficients.size):
            step = 1e-6 * max(abs(coefficients[i]), 1e-3)
            moved = coefficients.copy()
            moved[i] += step
            rows.append((_physical(moved, order, dt_s, names) - values) / step)
    except ValueError as error:
        return {"refused": str(error)}
    jacobian = np.array(rows).T
    u = np.sqrt(np.maximum(np.diag(jacobian @ cov @ jacobian.T), 0.0))
    return {"values": dict(zip(names, values.tolist(), strict=True)), "u": dict(zip(names, u.tolist(), strict=True))}


def _rls(y: Floats, r: Floats, order: int) -> tuple[Floats, Floats]:
    n = 2 * order + 1
    theta, p = np.zeros(n), 1e6 * np.eye(n)
    sse = 0.0
    for k in range(order, y.size):
        phi = np.concatenate((y[k - order : k][::-1], r[k - order : k + 1][::-1]))
        gain = p @ phi / (1.0 + phi @ p @ phi)
        error = y[k] - phi @ theta
        sse += error**2 / (1.0 + phi @ p @ phi)
        theta = theta + gain * error
        p = p - np.outer(gain, phi @ p)
        p = 0.5 * (p + p.T)
    return theta, p * sse / max(y.size - n, 1)


def _physical(coefficients: Floats, order: int, dt_s: float, names: list[str]) -> Floats:
    a, b = coefficients[:order], coefficients[order:]
    poles = np.roots(np.concatenate(([1.0], -a)))
    if np.any(np.abs(poles) >= 1) or np.any((np.abs(poles.imag) < 1e-12) & (poles.real <= 0)):
        raise ValueError("the discrete poles have no stable continuous ones")
    s = np.log(poles.astype(complex)) / dt_s
    gain = float(np.sum(b) / (1 - np.sum(a)))
    if order == 1:
        return np.array([gain, float(-1 / s[0].real)])
    if "damping" in names:
        omega = float(np.sqrt(np.prod(s).real))
        return np.array([gain, float(-np.sum(s).real / 2 / omega), omega / (2 * np.pi)])
    if np.any(np.abs(s.imag) > 1e-9):
        raise ValueError("the poles are complex, asked for are two lags")
    lags = np.sort(-1 / s.real)[::-1]
    # the delay of a slow ramp, -d ln H / ds at 0, is τ1 + τ2 - τz
    i = np.arange(3)
    delay = dt_s * float(i @ b / np.sum(b) + (i[1:] @ a) / (1 - np.sum(a)))
    return np.array([gain, float(lags[0]), float(lags[1]), float(np.sum(lags)) - delay])


def curve_fit(record: Record) -> Record:
    """Output error by `scipy.optimize.curve_fit` on `scipy.signal.lsim`, straight lines between samples.

    The sensor begins at rest, which the first tenth of the record is given to forget; instants that are irregular are
    brought to a grid by straight lines; starts are the best of a few time constants.
    """
    t = (record["t_ns"] - record["t_ns"][0]) * 1e-9
    grid = np.arange(t.size) * (t[-1] / (t.size - 1))
    r, y = (np.interp(grid, t, record[name]) for name in ("reference", "indication"))
    names = record["parameters"]
    if record["model"] == "rational":
        return {"refused": "no such model here"}

    seen = slice(grid.size // 10, None)

    def indication(_: Floats, *log_theta: float) -> Floats:
        theta = dict(zip(names, np.exp(log_theta).tolist(), strict=True))
        late = np.interp(grid - theta.get("delay_s", 0.0), grid, r)
        out = scipy.signal.lsim(_system(record["model"], theta), late - late[0], grid)[1]
        return np.asarray(out + theta["gain"] * late[0], np.float64)[seen]

    best: tuple[float, Floats] | None = None
    for span in np.geomspace(3 * record["dt_s"], 0.1 * grid[-1], 12):
        start = np.log([_start(name, float(span), record["dt_s"]) for name in names])
        sse = float(np.sum((y[seen] - indication(grid, *start)) ** 2))
        if np.isfinite(sse) and (best is None or sse < best[0]):
            best = sse, start
    if best is None:
        return {"refused": "no start"}
    try:
        log_theta, cov = scipy.optimize.curve_fit(indication, grid[seen], y[seen], best[1], maxfev=2000)
    except RuntimeError as error:
        return {"refused": f"no convergence: {error}"}
    values = np.exp(log_theta)
    u = values * np.sqrt(np.diag(cov))
    if not np.all(np.isfinite(u)):
        return {"refused": "the covariance could not be estimated"}
    return {"values": dict(zip(names, values.tolist(), strict=True)), "u": dict(zip(names, u.tolist(), strict=True))}


def _start(name: str, span_s: float, dt_s: float) -> float:
    return {
        "gain": 1.0, "damping": 0.4, "f0_hz": 1 / (2 * np.pi * span_s), "tau1_s": 3 * span_s, "tau2_s": 0.3 * span_s,
        "delay_s": dt_s,
    }.get(name, span_s)  # fmt: skip


def _system(model: str, theta: dict[str, float]) -> tuple[list[float], list[float]]:
    g = theta["gain"]
    if model == "first_order":
        return [g], [theta["tau_s"], 1.0]
    if model == "second_order":
        w = 2 * np.pi * theta["f0_hz"]
        return [g * w**2], [1.0, 2 * theta["damping"] * w, w**2]
    t1, t2 = theta["tau1_s"], theta["tau2_s"]
    return [g * theta["tauz_s"], g], [t1 * t2, t1 + t2, 1.0]


def curve_fit_points(record: Record) -> Record:
    """Weighted least squares on real and imaginary parts by `scipy.optimize.curve_fit`; common errors are not known."""
    f, names = record["f_hz"], record["parameters"]
    seen, u_seen = np.concatenate((record["real"], record["imag"])), np.tile(record["u"], 2)

    def response(_: Floats, *log_theta: float) -> Floats:
        h = _response(record["model"], dict(zip(names, np.exp(log_theta).tolist(), strict=True)), f)
        return np.concatenate((h.real, h.imag))

    best: tuple[float, Floats] | None = None
    for f0 in np.geomspace(f[0], 3 * f[-1], 24):
        for damping in (0.03, 0.1, 0.4):
            own = {"gain": float(np.hypot(record["real"][0], record["imag"][0])), "damping": damping, "f0_hz": f0}
            start = np.log([own.get(name, 1e-3 / f0 if name == "delay_s" else 1 / (2 * np.pi * f0)) for name in names])
            sse = float(np.sum(((seen - response(f, *start)) / u_seen) ** 2))
            best = (sse, start) if best is None or sse < best[0] else best
    try:
        log_theta, cov = scipy.optimize.curve_fit(
            response, np.tile(f, 2), seen, best[1] if best else None, u_seen, absolute_sigma=True
        )
    except RuntimeError as error:
        return {"refused": f"no convergence: {error}"}
    values = np.exp(log_theta)
    u = values * np.sqrt(np.diag(cov))
    return {"values": dict(zip(names, values.tolist(), strict=True)), "u": dict(zip(names, u.tolist(), strict=True))}


def _response(model: str, theta: dict[str, float], f_hz: Floats) -> npt.NDArray[np.complex128]:
    numerator, denominator = _system(model, theta)
    s = 2j * np.pi * f_hz
    h = np.polyval(numerator, s) / np.polyval(denominator, s) * np.exp(-s * theta.get("delay_s", 0.0))
    return np.asarray(h, np.complex128)


def inverse_filter(record: Record) -> Record:
    """Divide the spectrum by H, and pass it through a Butterworth of order 4 at twice the stated bandwidth, zero-phase.

    u is that of the noise alone.
    """
    y, dt_s = record["indication"], record["dt_s"]
    # an odd reflection at either end, so that the record closes on itself without a jump
    ends = np.concatenate((2 * y[0] - y[1:][::-1], y, 2 * y[-1] - y[:-1][::-1]))
    f = np.asarray(np.fft.rfftfreq(ends.size, dt_s), np.float64)
    inverse = 1 / _response(record["model"], record["parameters"], f)
    inverse *= 1 / (1 + (f / (2 * record["band_hz"])) ** 8)
    value = np.fft.irfft(np.fft.rfft(ends) * inverse, ends.size)[y.size - 1 : 2 * y.size - 1]
    weights = np.fft.irfft(inverse, ends.size)
    u = record["noise_std"] * float(np.sqrt(np.sum(weights**2)))
    return {"value": value, "u": np.full(y.size, u)}


def cusum_on_estimates(record: Record) -> Record:
    """Two-sided CUSUM, k = 1/2, on each parameter of ARX least squares over stretches of 100 samples.

    The first 30 stretches after each beginning give mean and standard deviation; the decision interval is Siegmund's
    (*Sequential Analysis*, 1985, 2.6) for the interval asked for and all charts together.
    """
    order = 1 if record["model"] == "first_order" else 2
    names = ["gain", "tau_s"] if order == 1 else ["gain", "damping", "f0_hz"]
    size, learn = 100, 30
    times, estimates = [], []
    for first in range(0, record["t_ns"].size - size, size):
        part = slice(first, first + size)
        y, r = record["indication"][part], record["reference"][part]
        columns = [y[order - i : size - i] for i in range(1, order + 1)]
        columns += [r[order - i : size - i] for i in range(order + 1)]
        coefficients = np.linalg.lstsq(np.stack(columns, axis=1), y[order:], rcond=None)[0]
        try:
            estimates.append(_physical(coefficients, order, record["dt_s"], names))
        except ValueError:
            continue
        times.append(int(record["t_ns"][first + size - 1]))
    arl0 = record["arl0_s"] / (size * record["dt_s"]) * 2 * len(names)
    h = scipy.optimize.brentq(lambda h: (np.exp(h + 1.166) - (h + 1.166) - 1) / 0.5 - arl0, 0.1, 50.0)
    alarms, begin = [], 0
    values = np.array(estimates)
    while begin + learn < len(values):
        mean, sd = values[begin : begin + learn].mean(0), values[begin : begin + learn].std(0, ddof=1)
        up = down = np.zeros(len(names))
        for k in range(begin + learn, len(values)):
            z = (values[k] - mean) / sd
            up, down = np.maximum(up + z - 0.5, 0), np.maximum(down - z - 0.5, 0)
            if np.any(up > h) or np.any(down > h):
                alarms.append(times[k])
                begin = k + 1
                break
        else:
            break
    return {"alarms_t_ns": np.array(alarms, np.int64)}
