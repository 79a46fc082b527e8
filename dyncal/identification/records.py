"""What goes into an estimator and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array


def check_arrays(record: object, *names: str) -> None:
    """Raise `InvalidData` naming the first of a record's attributes that is no array."""
    for name in names:
        given = getattr(record, name)
        if not isinstance(given, np.ndarray):
            raise InvalidData(f"{name} must be an array, not a {type(given).__name__}")


@dataclass(frozen=True, slots=True, eq=False)
class AlignedRecord:
    """A gap-free run of a sensor's indications with the reference's at the same instants.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing
        Instants of the sensor's samples.
    indication : float64, shape (n,)
        What the sensor said. Not-a-number is the caller's to leave out; an estimator that meets one cuts the record.
    reference : float64, shape (n,)
        What the reference said, interpolated to `t_ns` where its own instants are others.
    """

    t_ns: Int64Array
    indication: FloatArray
    reference: FloatArray

    def __post_init__(self) -> None:
        check_arrays(self, "t_ns", "indication", "reference")
        n = self.t_ns.shape
        if len(n) != 1 or self.t_ns.dtype != np.int64:
            raise InvalidData(f"instants must be int64 of one dimension, not {self.t_ns.dtype} of shape {n}")
        for name in ("indication", "reference"):
            values: FloatArray = getattr(self, name)
            if values.shape != n or values.dtype != np.float64:
                raise InvalidData(f"{name} must be float64 of shape {n}, not {values.dtype} of {values.shape}")
        if not bool(np.all(self.t_ns[1:] > self.t_ns[:-1])):
            raise InvalidData("the instants of an aligned record must increase strictly")

    def __len__(self) -> int:
        return int(self.t_ns.size)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What an estimator knows of a sensor, and what that is worth.

    Attributes
    ----------
    verdict : Verdict
        Only `ACCEPTED` may become a calibration.
    parameters : Parameters, optional
        θ̂ with covariance (systematic contributions of reference and clock included); None where there is no number
        that could be stood by.
    unobservable : tuple of str
        Parameters that the data cannot determine, by name.
    noise_std : float
        Standard deviation of the sensor's white noise, in the sensor's unit; NaN where unknown.
    reduced_chi2 : float
        Variance of the newest block's one-step residuals over the pooled variance.
    whiteness_p : float
        p-value of their whiteness (Ljung-Box); NaN where unknown.
    n_samples : int
        Samples that `parameters` rest on (those of excited blocks since the last reset).
    window_from_ns, window_to_ns : int
        First and last instant of those samples.
    method : str
    detail : str
        For people: why the verdict is what it is.
    """

    verdict: Verdict
    parameters: Parameters | None
    unobservable: tuple[str, ...]
    noise_std: float
    reduced_chi2: float
    whiteness_p: float
    n_samples: int
    window_from_ns: int
    window_to_ns: int
    method: str
    detail: str = ""

    @property
    def accepted(self) -> bool:
        """True where the parameters may be used."""
        return self.verdict is Verdict.ACCEPTED and self.parameters is not None


@dataclass(frozen=True, slots=True, eq=False)
class BlockOutcome:
    """What one closed block of data says, by itself and after it was taken in.

    The block's own log-likelihood near `theta` is the quadratic with gradient `score` and curvature `information`, in
    physical units, initial state and noise model eliminated; so its score at any frozen θ0 is
    ``score + information @ (theta - theta0)``.

    Attributes
    ----------
    from_ns, to_ns : int
        First and last instant of the block.
    n : int
        Samples in it.
    excited : bool
        False: the data said nothing of the dynamics, and nothing was updated.
    reset : bool
        The block contradicted everything before it; the estimate begins anew with it.
    rejected : bool
        The block contradicts the model itself (its residuals are far above the noise); it was not taken in.
    theta : float64, shape (p,)
        Point of linearisation: the estimate after the block where it was taken in.
    cov : float64, shape (p, p)
        Covariance of the estimate after the block, without the systematic contributions.
    score : float64, shape (p,)
    information : float64, shape (p, p)
    residual_rms : float
        Root mean square of the one-step residuals, in the sensor's unit.
    """

    from_ns: int
    to_ns: int
    n: int
    excited: bool
    reset: bool
    rejected: bool
    theta: FloatArray
    cov: FloatArray
    score: FloatArray
    information: FloatArray
    residual_rms: float
