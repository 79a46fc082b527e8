"""Makes a trial of a member: what is observed, what is stated with it, and the truth."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, InstantNs, Int64Array, duration
from simulators.datasets import faults
from simulators.datasets.bound import points_bound, record_bound, response_of
from simulators.datasets.definitions import (
    ChangeSpec,
    CorrectionSpec,
    DriftSpec,
    IdentificationSpec,
    LaboratorySpec,
    Member,
    SampledSpec,
    instants,
    six_digits,
)
from simulators.datasets.exposure import Swelling, answer, begin_of, grid_of, measurand_of, rounded
from simulators.physics.laws import Ramp
from simulators.physics.measurand import Multisine
from simulators.physics.waveforms import Measurand, Profile, Sum
from simulators.trial.optimum import wiener_error

INDICATION, REFERENCE = "indication", "reference"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One trial.

    Attributes
    ----------
    t_ns : int64, shape (n,)
        Instants of all channels; empty for points.
    channels : mapping of channel to float64, shape (n,)
    points : mapping of column to float64, shape (m,)
        Of laboratories.
    stated : mapping
        What a method is told beside the data.
    truth : mapping
        What it is not told.
    measurand : float64, shape (n,)
        The true measurand at `t_ns`; empty where the reference tells it.
    """

    t_ns: Int64Array
    channels: dict[str, FloatArray]
    stated: dict[str, Any]
    truth: dict[str, Any]
    points: dict[str, FloatArray] = field(default_factory=dict)
    measurand: FloatArray = field(default_factory=lambda: np.empty(0))


def generator(seed: bytes, *about: str | int) -> np.random.Generator:
    """Return a stream of random numbers that only who has `seed` can make: HMAC-SHA256 of what it is about (RFC 2104).

    PCG64 from a SeedSequence of 256 bits; numpy keeps its bit streams (NEP 19).
    """
    key = hmac.new(seed, "/".join(map(str, about)).encode(), hashlib.sha256).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "big"))))


def make_trial(spec: Member, seed: bytes, trial: int) -> Trial:
    """Return one trial of a member: the same for the same seed."""
    rng = generator(seed, spec.name, trial)
    if isinstance(spec, IdentificationSpec):
        return _identification(spec, rng, trial)
    if isinstance(spec, LaboratorySpec):
        return _points(spec, rng)
    if isinstance(spec, CorrectionSpec):
        return _correction(spec, rng, trial)
    if isinstance(spec, DriftSpec):
        return _drift(spec, rng, trial)
    assert_never(spec)


def _identification(spec: IdentificationSpec, rng: np.random.Generator, trial: int) -> Trial:
    t0_ns, dt_ns = begin_of(spec, trial), spec.dt_ns
    theta = spec.sensor.draw(rng)
    source = measurand_of(spec, rng, t0_ns)
    t_ns = instants(spec.n, dt_ns, t0_ns)
    if spec.jitter:
        t_ns = t_ns + np.round(rng.uniform(-spec.jitter, spec.jitter, spec.n) * dt_ns).astype(np.int64)
    fault = spec.fault
    laws = faults.laws(fault, spec.n * dt_ns) if fault else ()

    def at(values: FloatArray) -> FloatArray:
        return answer(source, spec.sensor, values, t_ns, dt_ns, spec.run_in_s)

    x, z = source.value(t_ns), at(theta)
    noise, reference_noise = _noises(spec, rng, z, x, spec.reference_noise)
    bound = record_bound(spec.sensor, theta, t_ns, at, noise, reference_noise)
    if laws:
        z = answer(source, spec.sensor, theta, t_ns, dt_ns, spec.run_in_s, laws)
    if fault:
        z = faults.before_noise(fault, z, t_ns, rng)
    y = z + noise * rng.standard_normal(spec.n)
    r = x + reference_noise * rng.standard_normal(spec.n)
    if fault:
        y, r = faults.after_noise(fault, y, r, rng)
    step = grid_of(noise)
    return Trial(
        t_ns,
        {INDICATION: rounded(y, step), REFERENCE: rounded(r, step)},
        stated={"u_reference_noise": reference_noise},
        truth=_truth(spec, theta) | {"bound": _named(spec, bound), "noise_std": noise},
    )


def _noises(
    spec: SampledSpec, rng: np.random.Generator, z: FloatArray, x: FloatArray, share: float
) -> tuple[float, float]:
    """Draw the noise of the sensor, and return that of the reference with it; both to six digits."""
    db = rng.uniform(*spec.noise_db)
    noise = six_digits(np.array([np.std(z) * 10 ** (-db / 20), share * np.std(x)]))
    return float(noise[0]), float(noise[1])


def _truth(spec: Member, theta: FloatArray) -> dict[str, Any]:
    return {"parameters": _named(spec, theta)}


def _named(spec: Member, values: FloatArray) -> dict[str, float]:
    return dict(zip(spec.sensor.names, six_digits(values).tolist(), strict=True))


def _points(spec: LaboratorySpec, rng: np.random.Generator) -> Trial:
    theta = spec.sensor.draw(rng)
    f_hz = six_digits(np.geomspace(spec.from_hz, spec.to_hz, spec.n_points))
    h = response_of(spec.sensor, theta, f_hz)
    share = np.linspace(0.0, 1.0, f_hz.size)
    u = six_digits(np.abs(h) * (spec.u_relative[0] + (spec.u_relative[1] - spec.u_relative[0]) * share))
    errors = rng.standard_normal((2, f_hz.size)) * u
    common = 1.0 + spec.u_common * rng.standard_normal()
    seen = h * common + errors[0] + 1j * errors[1]
    cov = u[:, None, None] ** 2 * np.eye(2)
    step = grid_of(float(np.min(u)))
    return Trial(
        np.empty(0, np.int64),
        {},
        stated={"u_common": spec.u_common},
        truth=_truth(spec, theta) | {"bound": _named(spec, points_bound(spec.sensor, theta, f_hz, cov, spec.u_common))},
        points={"f_hz": f_hz, "real": rounded(seen.real, step), "imag": rounded(seen.imag, step), "u": u},
    )


def _correction(spec: CorrectionSpec, rng: np.random.Generator, trial: int) -> Trial:
    t0_ns, dt_ns = begin_of(spec, trial), spec.dt_ns
    theta = spec.sensor.draw(rng)
    source = measurand_of(spec, rng, t0_ns)
    t_ns = instants(spec.n, dt_ns, t0_ns)
    x, z = source.value(t_ns), answer(source, spec.sensor, theta, t_ns, dt_ns, spec.run_in_s)
    noise, _ = _noises(spec, rng, z, x, 0.0)
    u = six_digits(spec.u_relative * theta * np.where(np.array(spec.sensor.names) == "gain", 0.1, 1.0))
    stated = six_digits(theta + u * rng.standard_normal(theta.size))
    y = z + noise * rng.standard_normal(spec.n)
    truth = _truth(spec, theta)
    rms, band_hz, order = spec.measurand.rms, spec.measurand.band_hz, spec.measurand.order
    if rms is not None and band_hz is not None and not spec.measurand.shapes:
        best = wiener_error(spec.sensor.form, theta, spec.rate_hz, noise**2, rms, band_hz, order)
        truth["optimum_rms"] = float(six_digits(np.array([best]))[0])
    return Trial(
        t_ns,
        {INDICATION: rounded(y, grid_of(noise))},
        stated={"parameters": _named(spec, stated), "u": _named(spec, u), "noise_std": noise, "band_hz": spec.band_hz},
        truth=truth,
        measurand=rounded(x, grid_of(noise) / 8),
    )


def _drift(spec: DriftSpec, rng: np.random.Generator, trial: int) -> Trial:
    t0_ns, dt_ns = begin_of(spec, trial), spec.dt_ns
    theta = spec.sensor.draw(rng)
    source = measurand_of(spec, rng, t0_ns)
    change = spec.changes[int(rng.integers(len(spec.changes)))]
    begin = duration(rng.uniform(*spec.from_s)) // 1_000_000 * 1_000_000
    ramp = _ramp(spec, change, begin)
    t_ns = instants(spec.n, dt_ns, t0_ns)
    # noises are of what it is like before it changes
    plain = answer(source, spec.sensor, theta, t_ns, dt_ns)
    noise, reference_noise = _noises(spec, rng, plain, source.value(t_ns), spec.reference_noise)
    source = _disturbed(source, change, ramp, t0_ns, noise_rms=spec.measurand.rms or 0.0)
    laws = (ramp,) if change.what == "sensor" else ()
    changed = laws or change.what.startswith("process")
    z = answer(source, spec.sensor, theta, t_ns, dt_ns, 0.0, laws) if changed else plain
    r = source.value(t_ns)
    if change.what == "reference_gain":
        r = r * (1.0 + (ramp.factor - 1.0) * ramp.share(t_ns - t0_ns))
    y = z + noise * rng.standard_normal(spec.n)
    r = r + reference_noise * rng.standard_normal(spec.n)
    step = grid_of(noise)
    counts = change.what in ("sensor", "reference_gain")
    return Trial(
        t_ns,
        {INDICATION: rounded(y, step), REFERENCE: rounded(r, step)},
        stated={"u_reference_noise": reference_noise},
        truth=_truth(spec, theta)
        | {
            "noise_std": noise,
            "what": change.what,
            "parameter": change.parameter,
            "factor": change.factor,
            "from_ns": t0_ns + begin if change.what != "nothing" else None,
            "to_ns": t0_ns + ramp.to_ns if change.what != "nothing" else None,
            "is_drift": counts,
        },
    )


def _ramp(spec: DriftSpec, change: ChangeSpec, begin: int) -> Ramp:
    index = spec.sensor.names.index(change.parameter) if change.parameter else 0
    return Ramp(index, DurationNs(begin), DurationNs(begin + duration(change.lasts_s)), change.factor)


def _disturbed(source: Measurand, change: ChangeSpec, ramp: Ramp, t0_ns: InstantNs, *, noise_rms: float) -> Measurand:
    parts = source.parts if isinstance(source, Sum) else (source,)
    if change.what == "process_level":
        knots = np.array([0, ramp.from_ns, ramp.to_ns], np.int64)
        level = Profile(knots, np.array([0.0, 0.0, change.factor * noise_rms]), t0_ns)
        return Sum((*parts, level))
    if change.what == "process_size":
        about_zero = [Multisine(0.0, part.cycles, part.amplitudes) for part in parts if isinstance(part, Multisine)]
        return Sum((*parts, *(Swelling(part, ramp, t0_ns) for part in about_zero)))
    return source
