"""Records with known truth: a continuous measurand, a sensor with noise, a reference with its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.models import Hold, model_of

OVERSAMPLING = 16


@dataclass(frozen=True)
class Plant:
    """A sensor on a measurand of filtered noise (Butterworth, `order`, corner `band_hz`, unit variance)."""

    kind: ModelKind
    theta: tuple[float, ...]
    rate_hz: float
    band_hz: float
    snr_db: float = 40.0
    u_reference_noise: float = 0.01
    order: int = 2
    mean: float = 0.0

    @property
    def dt_ns(self) -> int:
        return round(1e9 / self.rate_hz)

    def record(
        self, n: int, seed: int, theta_after: tuple[int, tuple[float, ...]] | None = None, early: int = 0
    ) -> AlignedRecord:
        """Return n samples; from sample `theta_after[0]` on the sensor has the parameters `theta_after[1]`.

        The reference's clock is `early` sixteenths of a sample before the sensor's.
        """
        rng = np.random.default_rng(seed)
        x = self._measurand(n, rng)
        ahead = x[early:][: n * OVERSAMPLING : OVERSAMPLING]
        x = x[: n * OVERSAMPLING]
        fine = np.arange(n * OVERSAMPLING, dtype=np.int64) * self.dt_ns // OVERSAMPLING
        model = model_of(self.kind)
        z = model.simulate(np.array(self.theta), fine, x)[::OVERSAMPLING]
        if theta_after is not None:
            at, theta = theta_after
            z = np.concatenate([z[:at], self._continued(z[at], x[at * OVERSAMPLING :], theta)])
        noise = z.std() * 10 ** (-self.snr_db / 20)
        t = np.arange(n, dtype=np.int64) * self.dt_ns + 1_700_000_000_000_000_000
        reference = ahead + self.u_reference_noise * rng.normal(size=n)
        return AlignedRecord(t, z + noise * rng.normal(size=n), reference)

    def fouling(self, tau: FloatArray, seed: int) -> AlignedRecord:
        """Return as many samples of a first-order sensor as there are time constants [s], one for each."""
        n, h = tau.size, 1 / self.rate_hz / OVERSAMPLING
        rng = np.random.default_rng(seed)
        x = self._measurand(n, rng)
        lag = np.repeat(tau, OVERSAMPLING)
        phi = np.exp(-h / lag)
        new = 1 - (1 - phi) * lag / h  # of the line between two values
        z = [float(x[0])]
        for k in range(n * OVERSAMPLING - 1):
            z.append(phi[k] * z[-1] + (1 - phi[k] - new[k]) * x[k] + new[k] * x[k + 1])
        y = np.array(z[::OVERSAMPLING])
        noise = y.std() * 10 ** (-self.snr_db / 20)
        t = np.arange(n, dtype=np.int64) * self.dt_ns + 1_700_000_000_000_000_000
        reference = x[: n * OVERSAMPLING : OVERSAMPLING] + self.u_reference_noise * rng.normal(size=n)
        return AlignedRecord(t, y + noise * rng.normal(size=n), reference)

    def _measurand(self, n: int, rng: np.random.Generator) -> FloatArray:
        """n + 1 intervals, each in `OVERSAMPLING` parts, of what the sensor is exposed to."""
        b, a = butter(self.order, 2 * self.band_hz / (self.rate_hz * OVERSAMPLING))
        run_in = int(20 * self.rate_hz * OVERSAMPLING / self.band_hz)
        x = lfilter(b, a, rng.normal(size=(n + 1) * OVERSAMPLING + run_in))[run_in:]
        return np.asarray(x / x.std() + self.mean)

    def driven(self, n: int, seed: int, hold: Hold) -> AlignedRecord:
        """Return n samples of a measurand that goes in lines or steps from sample to sample; noise of 0.1 % of both."""
        rng = np.random.default_rng(seed)
        t = np.arange(n, dtype=np.int64) * self.dt_ns
        x = lfilter([1.0], [1.0, -0.95], rng.normal(size=n + 200))[200:]
        y = model_of(self.kind).simulate(np.array(self.theta), t, x, hold)
        return AlignedRecord(t, y + 1e-3 * y.std() * rng.normal(size=n), x + 1e-3 * rng.normal(size=n))

    def _continued(self, z: float, x: FloatArray, theta: tuple[float, ...]) -> FloatArray:
        """A first-order sensor at `z` that goes on with other parameters: the state does not jump."""
        assert self.kind is ModelKind.FIRST_ORDER
        model = model_of(self.kind)
        parts = model.discretise(model.to_internal(np.array(theta)), np.array([1 / self.rate_hz / OVERSAMPLING]))
        out = [z]
        for k in range(x.size - 1):
            z = parts.phi[0, 0, 0] * z + parts.gamma[0, 0] @ x[k : k + 2]
            out.append(z)
        return np.array(out[::OVERSAMPLING])


def part(record: AlignedRecord, begin: int, end: int) -> AlignedRecord:
    return AlignedRecord(record.t_ns[begin:end], record.indication[begin:end], record.reference[begin:end])


def changed(record: AlignedRecord, *, y: FloatArray | None = None, r: FloatArray | None = None) -> AlignedRecord:
    return AlignedRecord(record.t_ns, record.indication if y is None else y, record.reference if r is None else r)


THERMOCOUPLE = Plant(ModelKind.FIRST_ORDER, (1.0, 1.0), 20.0, 0.5)
PRESSURE = Plant(ModelKind.SECOND_ORDER, (1.0, 0.3, 5.0), 200.0, 10.0)
ACCELEROMETER = Plant(ModelKind.SECOND_ORDER, (1.0, 0.03, 600.0), 4000.0, 800.0, order=4)
THERMOWELL = Plant(ModelKind.LEAD_LAG, (1.0, 3.0, 0.5, 1.0), 10.0, 0.3)
