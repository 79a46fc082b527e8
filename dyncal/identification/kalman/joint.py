"""Measurand and sensor as one linear stochastic system, with derivatives in all coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.assembly import assemble
from dyncal.identification.kalman.held import Intervals, discretised, held
from dyncal.identification.kalman.measurand import Chain, Process
from dyncal.models import Hold, SensorModel

REFERENCE: Final = 0
SENSOR: Final = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is: state ξ = (sensor x (n), measurand w (k)); coordinates h; rows of derivatives.

    h = (η (p), ln R_y, ln R_r, ln q[, ln λ], clock offset δ [s]): sensor noise variance, reference noise variance,
    intensity (times T^(2k - 1), T the time scale of the state) and rate of the process, by how much the sensor's clock
    is late. Then come the rows that are linear: offset of the reference, initial x, and initial w where the process has
    no distribution of its own.
    """

    p: int
    n_sensor: int
    process: Process

    @property
    def n_states(self) -> int:
        """Size of ξ."""
        return self.n_sensor + self.process.order

    @property
    def sensor_noise(self) -> int:
        """Position of ln R_y."""
        return self.p

    @property
    def reference_noise(self) -> int:
        """Position of ln R_r."""
        return self.p + 1

    @property
    def intensity(self) -> int:
        """Position of ln q."""
        return self.p + 2

    @property
    def rate(self) -> int:
        """Position of ln λ; that of the clock offset where there is none."""
        return self.p + 3

    @property
    def clock(self) -> int:
        """Position of the clock offset."""
        return self.p + 3 + self.process.stationary

    @property
    def n_coordinates(self) -> int:
        """Number m of coordinates h."""
        return self.clock + 1

    @property
    def offset(self) -> int:
        """Row of the reference's offset."""
        return self.n_coordinates

    @property
    def initial(self) -> int:
        """First row of the initial state."""
        return self.offset + 1

    @property
    def n_initial(self) -> int:
        """Number of components of the initial state that are to be found."""
        return self.n_sensor + (0 if self.process.stationary else self.process.order)

    @property
    def n_rows(self) -> int:
        """Number of rows that mean something."""
        return self.initial + self.n_initial

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates after η."""
        rate = ("ln_rate",) if self.process.stationary else ()
        return ("ln_sensor_noise", "ln_reference_noise", "ln_intensity", *rate, "clock_offset_s")


@dataclass(frozen=True, slots=True, eq=False)
class JointModel:
    """What `filter_pass` needs at one h; see there for the shapes.

    Attributes
    ----------
    a, g : float64, shape (n, n)
        Generator and noise intensity.
    da, dg : float64, shape (n, n, m)
    rows, drows, noise, dnoise, gains, dgains
        Measurement rows, variances, and what each channel shows of a constant measurand, with derivatives.
    cov, dcov : float64, shapes (n, n), (n, n, m)
        Covariance of the initial state; 0 for what is to be found.
    n_sensor : int
        States of the sensor, which come first.
    hold : Hold, optional
        What the measurand does between samples; None where it is the process there too.
    """

    a: FloatArray
    da: FloatArray
    g: FloatArray
    dg: FloatArray
    rows: FloatArray
    drows: FloatArray
    noise: FloatArray
    dnoise: FloatArray
    gains: FloatArray
    dgains: FloatArray
    cov: FloatArray
    dcov: FloatArray
    n_sensor: int
    hold: Hold | None

    def intervals(self, steps_s: FloatArray) -> Intervals:
        """Return Φ, Q and their derivatives for intervals h [s], shape (i,)."""
        parts = self.a, self.da, self.g, self.dg, steps_s
        return discretised(*parts) if self.hold is None else held(*parts, self.n_sensor, self.hold)


def joint_model(model: SensorModel, layout: Layout, h: FloatArray, scale_s: float) -> JointModel:
    """Return the joint model at coordinates h (m,), with time scale T [s] of the process's state.

    The clock offset enters to first order: the sensor's measurement is c ξ + δ c ξ̇.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the sensor has no rest, as at coordinates without sense.
    """
    space = model.state_space(h[: layout.p])
    rate = float(h[layout.rate]) if layout.process.stationary else 0.0
    chain = Chain.of(layout.process, float(h[layout.intensity]), rate, scale_s)
    ns, n, m, rows_all = layout.n_sensor, layout.n_states, layout.n_coordinates, layout.n_rows
    a, da, g, dg = np.zeros((n, n)), np.zeros((n, n, m)), np.zeros((n, n)), np.zeros((n, n, m))
    rows, drows, gains, dgains = np.zeros((2, n)), np.zeros((2, n, rows_all)), np.empty(2), np.zeros((2, m))
    whole = np.ascontiguousarray
    if not assemble(
        whole(space.a), whole(space.b), whole(space.c), float(space.d), whole(space.da), whole(space.db),
        whole(space.dd), chain.a, chain.da, chain.intensity,
        layout.rate, layout.clock, float(h[layout.clock]), a, da, g, dg, rows, drows, gains, dgains,
    ):  # fmt: skip
        raise np.linalg.LinAlgError("the sensor has no rest")
    cov, dcov = np.zeros((n, n)), np.zeros((n, n, m))
    cov[ns:, ns:] = dcov[ns:, ns:, layout.intensity] = chain.stationary_cov
    if layout.process.stationary:
        dcov[ns:, ns:, layout.rate] = chain.dstationary_cov
    noise, dnoise = np.exp(h[[layout.reference_noise, layout.sensor_noise]]), np.zeros((2, m))
    dnoise[REFERENCE, layout.reference_noise], dnoise[SENSOR, layout.sensor_noise] = noise
    return JointModel(
        a, da, g, dg, rows, drows, noise, dnoise, gains, dgains, cov, dcov, ns, layout.process.hold
    )  # fmt: skip
