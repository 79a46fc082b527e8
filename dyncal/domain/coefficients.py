"""Coefficient sets: what the edge needs to correct a stream and to say how well.

A set is immutable. It carries the filter, the physical parameters that it came from with their covariance, and where
all of it came from. The filter computes, on samples y at the nominal interval,

    û[k] = sos( fir * y )[k],      û[k] estimates the measurand at the instant of sample k - delay,

and its standard uncertainty

    u²[k] = u_noise² + u_model² + u_slope²·(dû/dt)² + c[k]ᵀ·cov·c[k],      c_i[k] = S_i(z) û[k],

with one biquad S_i for each parameter (docs/metrology.md). Where instants lie on no grid a set carries a fixed-lag
smoother instead: the measurand as a random process, from which, with the sensor's model, everything else follows.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import DurationNs, InstantNs

MOST_ORDER: Final = 8
"""Highest order of a measurand's process."""


@dataclass(frozen=True, slots=True, eq=False)
class CorrectionFilter:
    """The filter of a set.

    Attributes
    ----------
    dt_ns : int
        Sampling interval it was designed for [ns].
    fir : float64, shape (n_taps,), n_taps >= 1
        Applied to the raw indications first.
    sos : float64, shape (n_sections, 6), n_sections >= 0
        Second-order sections b0 b1 b2 1 a1 a2, applied after `fir`.
    delay : int
        Declared latency in samples.
    sensitivities : float64, shape (k n_parameters, 5)
        Biquads b0 b1 b2 a1 a2 (a0 = 1): from û to ∂û/∂θ_i, parameters as in `CoefficientSet.parameters`. Row r is about
        parameter r mod n_parameters, and the k rows of one parameter add: k = 1 serves models of order 1 and 2.
    u_noise : float
        Standard deviation of the sensor's noise after the filter, in the sensor's unit.
    u_model : float
        Standard uncertainty from what the filter cannot restore (regularisation, band edge), in the sensor's unit.
    band_hz : float
        Upper end of the band in which the correction is valid [Hz].
    """

    dt_ns: DurationNs
    fir: FloatArray
    sos: FloatArray
    delay: int
    sensitivities: FloatArray
    u_noise: float
    u_model: float
    band_hz: float

    def __post_init__(self) -> None:
        if self.fir.ndim != 1 or self.fir.size < 1:
            raise InvalidData("a filter needs at least one FIR tap")
        if self.sos.ndim != 2 or self.sos.shape[1] != 6:
            raise InvalidData(f"second-order sections have shape (n, 6), not {self.sos.shape}")
        if self.sensitivities.ndim != 2 or self.sensitivities.shape[1] != 5:
            raise InvalidData(f"sensitivity biquads have shape (n, 5), not {self.sensitivities.shape}")
        if self.dt_ns <= 0 or self.delay < 0:
            raise InvalidData("dt_ns must be positive and delay not negative")

    @property
    def latency_ns(self) -> DurationNs:
        """Declared latency [ns]."""
        return DurationNs(self.delay * self.dt_ns)

    @property
    def noise_gain(self) -> float:
        """√Σg² of the FIR part: white noise out over white noise in, where there are no recursive sections."""
        return float(np.sqrt(np.sum(self.fir**2)))


class MeasurandPrior(enum.StrEnum):
    """What a smoother takes the measurand for: a process of limited band about a level, or an integral of one."""

    BUTTERWORTH = "butterworth"
    INTEGRATED_WIENER = "integrated_wiener"


@dataclass(frozen=True, slots=True)
class CorrectionSmoother:
    """A fixed-lag smoother of a set: for instants of any spacing.

    What it runs follows from these numbers and the set's parameters (`dyncal.correction.smoother`); no stable sensor
    and no measurand make it unstable.

    Attributes
    ----------
    dt_ns : int
        Nominal sampling interval [ns]; it sets the resolution of time and bounds the memory, nothing else.
    latency_ns : int
        Declared latency [ns], the sensor's dead time included: a value is told when an indication that much later is
        there.
    prior : MeasurandPrior
    density, corner_rad_s, order : float, float, int
        The measurand's two-sided spectrum, S0/(1 + (ω/ω_B)^2m): S0 [unit² s], ω_B [rad/s] and m, 1 to 8.
    noise_std : float
        Standard deviation of the sensor's white noise, in the indications' unit.
    band_hz : float
        Upper end of the band in which the correction is valid [Hz].
    """

    dt_ns: DurationNs
    latency_ns: DurationNs
    prior: MeasurandPrior
    density: float
    corner_rad_s: float
    order: int
    noise_std: float
    band_hz: float

    def __post_init__(self) -> None:
        if self.dt_ns <= 0 or self.latency_ns < 0:
            raise InvalidData("dt_ns must be positive and latency_ns not negative")
        if not 1 <= self.order <= MOST_ORDER:
            raise InvalidData(f"a measurand's order is 1 to {MOST_ORDER}, not {self.order}")

    @property
    def delay(self) -> int:
        """Declared latency in nominal intervals, rounded up."""
        return math.ceil(self.latency_ns / self.dt_ns)


Correction = CorrectionFilter | CorrectionSmoother
"""What a set corrects with."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A physical parameter vector with its covariance, in the order and the units of `names` (``tau_s``, ``f0_hz``)."""

    model: ModelKind
    names: tuple[str, ...]
    values: FloatArray
    cov: FloatArray

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.values.shape != (n,) or self.cov.shape != (n, n):
            raise InvalidData(f"{n} parameters have values {self.values.shape} and covariance {self.cov.shape}")

    @property
    def u(self) -> FloatArray:
        """Standard uncertainties, shape (n,)."""
        return np.sqrt(np.diag(self.cov))

    def as_dict(self) -> dict[str, float]:
        """Return the values by name."""
        return dict(zip(self.names, self.values.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a set came from: enough to find the data, the fit and the reference again."""

    calibration_id: str
    reference: SensorId
    fitted_at_ns: InstantNs
    window_from_ns: InstantNs
    window_to_ns: InstantNs
    n_samples: int


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientSet:
    """One immutable set for one sensor.

    Attributes
    ----------
    id : str
        Unique, and safe in a path.
    sequence : int
        Counts the sets of this sensor upward: an edge never applies a lower one than it has seen.
    parent : str, optional
        The set that this one replaces.
    correction : CorrectionFilter or CorrectionSmoother
    gain_limits : (float, float)
        Range in which the correction's gain at DC must lie, as the designer of the set says.
    residual_limit : float
        Largest rms of (corrected - reference) or of the innovation that is still normal, in the sensor's unit; the edge
        reverts when its own check exceeds it. 0 means: no check. Of a smoother: of successive differences
        of its innovations, each over its predicted standard deviation, over √2 and times `noise_std`.
    note : str
        For people: why it was made; says so where the set goes back to an earlier state.
    restores : str, optional
        The set whose numbers it carries, where somebody went back to that deliberately.
    apply_until_ns : int, optional
        An edge does not begin to run it later than this; what runs goes on. None: no end.
    """

    id: str
    sensor: SensorId
    sequence: int
    parent: str | None
    parameters: Parameters
    correction: Correction
    gain_limits: tuple[float, float]
    valid_from_ns: InstantNs
    provenance: Provenance
    residual_limit: float = 0.0
    note: str = ""
    restores: str | None = None
    apply_until_ns: InstantNs | None = None

    def __post_init__(self) -> None:
        if isinstance(self.correction, CorrectionFilter):
            n, p = self.correction.sensitivities.shape[0], len(self.parameters.names)
            if n < p or (n % p if p else n):
                raise InvalidData("a set needs as many sensitivity biquads for each parameter")
        if self.sequence < 1:
            raise InvalidData("sets count from 1")

    @property
    def filter(self) -> CorrectionFilter:
        """The filter of a set that has one. Raises `InvalidData` of one with a smoother."""
        if isinstance(self.correction, CorrectionFilter):
            return self.correction
        raise InvalidData(f"set {self.id} corrects with a smoother, not with a filter")


class SetState(enum.StrEnum):
    """Life cycle of a set."""

    CANDIDATE = "candidate"
    VERIFIED = "verified"
    PUBLISHED = "published"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    REVERTED = "reverted"


class Outcome(enum.StrEnum):
    """What an edge reports of a set."""

    APPLIED = "applied"
    REJECTED = "rejected"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class Report:
    """What an edge did with a set, why, and when; and the set that it runs now, '' if none or not known.

    `digest`: SHA-256 (hex) of the set's text as the edge got it, '' if not known: who else than calibrate could send it
    something under the name of a set?
    """

    sensor: SensorId
    set_id: str
    sequence: int
    outcome: Outcome
    at_ns: InstantNs
    reason: str = ""
    running: str = ""
    digest: str = ""
