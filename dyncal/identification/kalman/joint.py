"""Measurand and sensor as one linear stochastic system, with derivatives in all coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.discretisation import discretise
from dyncal.identification.kalman.measurand import Chain, Process
from dyncal.models import SensorModel

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

    def intervals(self, steps_s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return Φ, Q and their derivatives for intervals h [s], shape (i,)."""
        n, m = self.a.shape[0], self.da.shape[2]
        i = steps_s.size
        parts = np.empty((i, n, n)), np.empty((i, n, n)), np.empty((i, n, n, m)), np.empty((i, n, n, m))
        discretise(self.a, self.da, self.g, self.dg, steps_s, *parts)
        return parts


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
    p, ns, n, m, rows_all = layout.p, layout.n_sensor, layout.n_states, layout.n_coordinates, layout.n_rows
    a, da, g, dg = np.zeros((n, n)), np.zeros((n, n, m)), np.zeros((n, n)), np.zeros((n, n, m))
    a[:ns, :ns], a[:ns, ns], a[ns:, ns:] = space.a, space.b, chain.a
    da[:ns, :ns, :p], da[:ns, ns, :p] = np.moveaxis(space.da, 0, -1), space.db.T
    g[-1, -1] = dg[-1, -1, layout.intensity] = chain.intensity
    cov, dcov = np.zeros((n, n)), np.zeros((n, n, m))
    cov[ns:, ns:] = dcov[ns:, ns:, layout.intensity] = chain.stationary_cov
    if layout.process.stationary:
        da[ns:, ns:, layout.rate] = chain.da
        dcov[ns:, ns:, layout.rate] = chain.dstationary_cov
    rows, drows = np.zeros((2, n)), np.zeros((2, n, rows_all))
    rows[REFERENCE, ns] = 1.0
    rows[SENSOR, :ns], rows[SENSOR, ns] = space.c, space.d
    drows[SENSOR, ns, :p] = space.dd
    _late(rows, drows, a, da, space.d, space.dd, float(h[layout.clock]), layout)
    noise, dnoise = np.exp(h[[layout.reference_noise, layout.sensor_noise]]), np.zeros((2, m))
    dnoise[REFERENCE, layout.reference_noise], dnoise[SENSOR, layout.sensor_noise] = noise
    gains, dgains = np.ones(2), np.zeros((2, m))
    inverse = np.linalg.inv(space.a) if ns else space.a
    at_rest = inverse @ space.b
    gains[SENSOR] = space.d - space.c @ at_rest
    for i in range(p):
        dgains[SENSOR, i] = space.dd[i] - space.c @ (inverse @ (space.db[i] - space.da[i] @ at_rest))
    return JointModel(a, da, g, dg, rows, drows, noise, dnoise, gains, dgains, cov, dcov)


def _late(
    rows: FloatArray,
    drows: FloatArray,
    a: FloatArray,
    da: FloatArray,
    d: float,
    dd: FloatArray,
    late_s: float,
    layout: Layout,
) -> None:
    """Add δ c ξ̇ to the sensor's row; of a feedthrough only where the measurand has a derivative."""
    p, ns = layout.p, layout.n_sensor
    c = np.zeros(layout.n_states)
    c[:ns] = rows[SENSOR, :ns]
    smooth = layout.process.order > 1
    c[ns] = d if smooth else 0.0
    speed = c @ a
    rows[SENSOR] += late_s * speed
    drows[SENSOR, :, layout.clock] = speed
    if late_s:
        drows[SENSOR, :, : layout.n_coordinates] += late_s * np.einsum("i,ijk->jk", c, da)
        if smooth:
            drows[SENSOR, :, :p] += late_s * np.outer(a[ns], dd)
