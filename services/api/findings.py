"""What follows from a sensor's coefficients and calibrations: frequency response with bands, budget, history, chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from dyncal.contracts.coefficients import Envelope
from dyncal.correction.budget import budget
from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.sensors import ModelKind, Pairing, SensorId
from dyncal.domain.time import LATEST, NS_PER_S, DurationNs, InstantNs
from dyncal.models import named_model
from dyncal.ports.records import SetRecord
from dyncal.ports.registry import Registry

MOST_STEPS: Final = 8
"""References behind references that a chain follows."""

_DECADES: Final = 4.0
_LEAST: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Bode:
    """Frequency response of a sensor with standard uncertainties by the law of propagation; all of shape (n,)."""

    f_hz: FloatArray
    magnitude: FloatArray
    u_magnitude: FloatArray
    phase_rad: FloatArray
    u_phase_rad: FloatArray


def frequencies(parameters: Parameters, dt_ns: DurationNs, n: int) -> FloatArray:
    """Return `n` frequencies [Hz], evenly on a logarithmic axis, up to the Nyquist frequency.

    They begin four decades below, or at a twentieth of the slowest corner where that is lower.
    """
    highest = 0.5 * NS_PER_S / dt_ns
    lowest = highest / 10**_DECADES
    for name, value in parameters.as_dict().items():
        if name.startswith("tau") and value > 0:
            lowest = min(lowest, _LEAST / (2 * math.pi * value))
        elif name == "f0_hz" and value > 0:
            lowest = min(lowest, _LEAST * value)
    return np.asarray(np.geomspace(lowest, highest, n), dtype=np.float64)


def bode(parameters: Parameters, f_hz: FloatArray) -> Bode:
    """Return the frequency response at `f_hz`, with u(|H|) and u(arg H).

    With J = ∂H/∂θ: ∂|H|/∂θ = Re(H* J)/|H|, ∂arg H/∂θ = Im(J/H) (docs/metrology.md, GUM 5.2.2).

    Raises
    ------
    InvalidData
        If parameters of these names are of no model that has a frequency response.
    """
    if parameters.model is ModelKind.STATIC:
        raise InvalidData("a static sensor has no frequency response")
    model = named_model(parameters.model, parameters.names)
    h = model.frequency_response(parameters.values, f_hz)
    jacobian = model.jacobian(parameters.values, f_hz)
    size = np.abs(h)
    of_magnitude = np.real(np.conj(h)[:, None] * jacobian) / size[:, None]
    of_phase = np.imag(jacobian / h[:, None])
    return Bode(f_hz, size, _u(of_magnitude, parameters.cov), np.unwrap(np.angle(h)), _u(of_phase, parameters.cov))


def _u(sensitivities: FloatArray, cov: FloatArray) -> FloatArray:
    variance = np.einsum("fi,ij,fj->f", sensitivities, cov, sensitivities)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a budget: root mean square of a contribution over the samples, in the sensor's unit."""

    name: str
    u: float


def budget_lines(record: SetRecord, series: SampleSeries) -> tuple[list[Line], float, int]:
    """Return the budget of corrected values over a record, the combined u (rms), and the count of values behind it.

    The lines are those whose squares sum up to that of u, and `parameter:<name>` for each parameter by itself. What
    the reference adds is in the parameters' covariance already.

    Raises
    ------
    InvalidData
        If the record is too short for a corrected value.
    """
    c = record.coefficients
    with_raw = ~np.isnan(series.raw)
    t_ns, raw = series.t_ns[with_raw], series.raw[with_raw]
    steps = np.diff(t_ns)
    uneven = bool(steps.size) and bool(np.any(np.abs(steps - c.correction.dt_ns) > 0.01 * c.correction.dt_ns))
    if raw.size == 0:
        raise InvalidData("there are no samples to state a budget for")
    made = budget(c.correction, c.parameters, raw, t_ns=t_ns if uneven else None)
    there = np.isfinite(made.u)
    n = int(np.count_nonzero(there))
    if n == 0:
        raise InvalidData("the last samples are too few, or too uneven, for a corrected value")
    lines = [Line(part.name, _rms(part.u[there])) for part in made.contributions]
    return [line for line in lines if line.u > 0], _rms(made.u[there]), n


def u_of_reference(pairing: Pairing, series: SampleSeries) -> float:
    """Return the standard uncertainty that a pairing states of its reference, at the size of a record's values."""
    raw = series.raw[np.isfinite(series.raw)]
    return math.hypot(pairing.u_reference, pairing.u_reference_gain * (_rms(raw) if raw.size else 0.0))


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def accepted(calibrations: Sequence[Calibration]) -> Calibration | None:
    """Return the first that was accepted."""
    return next((each for each in calibrations if each.verdict is Verdict.ACCEPTED), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a traceability chain: what is known of `sensor`, and by what it is tied to the next.

    `at_ns` is when what it showed was used: its certificate is to be of before.
    """

    sensor: SensorId
    set_id: str = ""
    key_id: str = ""
    sha256: str = ""
    calibration: Calibration | None = None
    reference: SensorId | None = None
    u_reference: float | None = None
    u_reference_gain: float | None = None
    u_clock_s: float | None = None
    at_ns: InstantNs = LATEST


def chain(registry: Registry, record: SetRecord) -> list[Step]:
    """Return what a set is traced to: its calibration, the reference, what that is corrected by, and so on.

    The last step is a sensor that nothing in the registry calibrates while it works: what ties it to the SI is its
    certificate, which `LaboratoryRegistry` may know.
    """
    pairings = {pairing.sensor: pairing for pairing in registry.pairings()}
    steps: list[Step] = []
    seen: set[SensorId] = set()
    current: SetRecord | None = record
    sensor = record.coefficients.sensor
    at_ns = record.coefficients.provenance.window_to_ns
    while sensor not in seen and len(steps) < MOST_STEPS:
        seen.add(sensor)
        if current is None:
            steps.append(Step(sensor, at_ns=at_ns))
            break
        origin = current.coefficients.provenance
        steps.append(
            Step(
                sensor,
                current.coefficients.id,
                *_sealed(current.envelope),
                _calibration(registry, origin.calibration_id),
                origin.reference,
                *_stated(pairings.get(sensor), origin.reference),
                at_ns,
            )
        )
        # what was in force when the fit looked at it: another set, of later, says nothing of that fit
        at_ns = origin.window_to_ns
        sensor, current = origin.reference, registry.last_released(origin.reference, until_ns=at_ns)
    return steps


def _stated(pairing: Pairing | None, reference: SensorId) -> tuple[float | None, float | None, float | None]:
    """Return the u that a pairing states of a reference, its gain and the clocks; None where it is of another one."""
    if pairing is None or pairing.reference != reference:
        return None, None, None
    return pairing.u_reference, pairing.u_reference_gain, pairing.u_clock_s


def _sealed(envelope: bytes) -> tuple[str, str]:
    """Return the key by which an envelope is signed, and the digest that it states."""
    try:
        read = msgspec.json.decode(envelope, type=Envelope)
    except msgspec.MsgspecError:
        return "", ""
    return read.key_id, read.sha256


def _calibration(registry: Registry, calibration_id: str) -> Calibration | None:
    try:
        return registry.calibration(calibration_id)
    except NotFound:
        return None
