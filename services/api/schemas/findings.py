"""What follows from a sensor's coefficients and calibrations."""

from __future__ import annotations

from typing import Self

from services.api.findings import Bode
from services.api.schemas.base import InstantNs, Shape, example
from services.api.schemas.calibrations import CalibrationOut
from services.api.schemas.laboratory import CertificateOut


class BodeOut(Shape):
    """The frequency response of a sensor by one set of parameters; all arrays have one length."""

    what: str
    """`now`: the set that is active; `last_calibration`: the newest accepted calibration; `baseline`: the calibration
    that tolerances are relative to; `certificate`: the newest laboratory calibration."""
    source: str
    """Id of the set or the calibration."""
    at_ns: InstantNs
    """When it was fitted; of a certificate, when the laboratory measured."""
    f_hz: list[float]
    magnitude: list[float]
    u_magnitude: list[float]
    """Standard uncertainty (k = 1)."""
    phase_rad: list[float]
    u_phase_rad: list[float]
    """Standard uncertainty (k = 1) [rad]."""

    @classmethod
    def of(cls, what: str, source: str, at_ns: int, made: Bode) -> Self:
        """Return it."""
        return cls(
            what=what,
            source=source,
            at_ns=at_ns,
            f_hz=made.f_hz.tolist(),
            magnitude=made.magnitude.tolist(),
            u_magnitude=made.u_magnitude.tolist(),
            phase_rad=made.phase_rad.tolist(),
            u_phase_rad=made.u_phase_rad.tolist(),
        )


class ResponseOut(Shape):
    """Frequency responses of a sensor, at the same frequencies."""

    model_config = example(
        sensor="TT-101",
        curves=[
            {
                "what": "now",
                "source": "TT-101.4",
                "at_ns": 1_769_860_800_000_000_000,
                "f_hz": [0.1],
                "magnitude": [0.95],
                "u_magnitude": [0.002],
                "phase_rad": [-0.3],
                "u_phase_rad": [0.001],
            }
        ],
        band_hz=1.2,
    )

    sensor: str
    curves: list[BodeOut]
    band_hz: float | None
    """Upper end of the band in which the correction is valid [Hz]; null where none is active."""


class ParameterHistoryOut(Shape):
    """The accepted calibrations of a sensor, oldest first, in columns: those of the newest model alone."""

    model_config = example(
        sensor="TT-101",
        names=["gain", "tau_s"],
        calibration=["cal-1"],
        fitted_at_ns=[1_769_860_800_000_000_000],
        values=[[1.001, 1.83]],
        u=[[0.002, 0.01]],
        whiteness_p=[0.41],
        reduced_chi2=[1.02],
        noise_std=[0.05],
        baseline="TT-101.baseline.1769860800000000000",
        baseline_values=[1.001, 1.82],
        tolerance=[0.05, 0.05],
        truncated=False,
    )

    sensor: str
    names: list[str]
    calibration: list[str]
    fitted_at_ns: list[int]
    values: list[list[float | None]]
    """A row for each calibration, a column for each parameter."""
    u: list[list[float | None]]
    """Standard uncertainties (k = 1)."""
    whiteness_p: list[float | None]
    """p-value of the residuals' whiteness."""
    reduced_chi2: list[float | None]
    noise_std: list[float | None]
    baseline: str | None
    """The calibration that tolerances are relative to; null where there is none yet."""
    baseline_values: list[float | None] | None
    tolerance: list[float]
    """Relative, by parameter."""
    truncated: bool
    """True where there are older calibrations than these."""


class BudgetLineOut(Shape):
    """One contribution, root mean square over the samples, in the sensor's unit."""

    name: str
    u: float
    counts: bool
    """True where its square is a term of that of u; false for a part of another line."""


class BudgetOut(Shape):
    """The uncertainty budget of the newest corrected values (GUM, 5.1.2)."""

    model_config = example(
        sensor="TT-101",
        set_id="TT-101.4",
        unit="Cel",
        u=0.08,
        n=500,
        from_ns=1_769_860_800_000_000_000,
        to_ns=1_769_860_850_000_000_000,
        lines=[{"name": "noise", "u": 0.07, "counts": True}],
    )

    sensor: str
    set_id: str
    unit: str
    u: float
    """Combined standard uncertainty (k = 1), root mean square."""
    n: int
    """Corrected values behind it."""
    from_ns: InstantNs
    to_ns: InstantNs
    lines: list[BudgetLineOut]


class StepOut(Shape):
    """One link: a sensor, what corrects it, the calibration behind that, and the reference it was made against."""

    sensor: str
    label: str
    unit: str
    set_id: str
    """'' where nothing in the registry corrects this sensor."""
    key_id: str
    """The key that the set is signed with."""
    sha256: str
    """Digest of the set, as its envelope states it."""
    calibration: CalibrationOut | None
    reference: str | None
    u_reference: float | None
    """Stated in the pairing: standard uncertainty of the reference's indications, systematic part; null where the
    sensor is not paired with that reference any more."""
    u_reference_gain: float | None
    """Stated in the pairing: relative standard uncertainty of the reference's gain; null likewise."""
    u_clock_s: float | None
    """Stated in the pairing: standard uncertainty of the clock offset [s]; null likewise."""
    certificate: CertificateOut | None = None
    """The newest laboratory calibration of `sensor` from before what it showed was used, where there is one."""


class ChainOut(Shape):
    """What the values of a set are traced to, link by link.

    The last link is a sensor that nothing here calibrates while it works: what there is behind it is its certificate.
    """

    set_id: str
    steps: list[StepOut]
