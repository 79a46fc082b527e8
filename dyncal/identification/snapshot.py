"""Snapshots of an estimator: MessagePack, arrays as little-endian bytes, exact to the last bit."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from dyncal.domain.sensors import ModelKind
from dyncal.identification.block import Start
from dyncal.identification.interpolation import Interpolation
from dyncal.identification.posterior import Posterior
from dyncal.identification.report import Residuals, Window
from dyncal.identification.start import Refused
from dyncal.identification.tracking import Tracking


class Array(msgspec.Struct, frozen=True, array_like=True):
    """An array of float64 or int64."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: np.ndarray[Any, Any]) -> Array:
        """Pack an array."""
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        return cls(little.dtype.str, array.shape, little.tobytes())

    def array(self) -> np.ndarray[Any, Any]:
        """Unpack; raises ValueError where the bytes do not fit."""
        if self.dtype not in ("<f8", "<i8"):
            raise ValueError(f"{self.dtype} is no type of a snapshot")
        return np.frombuffer(self.data, dtype=self.dtype).reshape(self.shape).copy()


class TrackingState(msgspec.Struct, frozen=True):
    """`Tracking`, packed."""

    arrays: dict[str, Array]
    variance: float
    dispersion: float
    dof: float
    interpolation: Interpolation
    residuals: Residuals
    window: Window
    n_rejected: int
    trouble: str


class EstimatorState(msgspec.Struct, frozen=True):
    """Everything that an `OnlineEstimator` holds."""

    model: ModelKind
    dt_ns: int
    settings: dict[str, Any]
    pending: list[Array]
    last_ns: int | None
    behind: int
    close_at: int
    tracking: TrackingState | None
    refused: Refused | None
    doubtful: bool
    version: int = 1


def pack(tracking: Tracking) -> TrackingState:
    """Pack what is tracked."""
    posterior, begin = tracking.posterior, tracking.begin
    arrays = {name: getattr(posterior, name) for name in ("h", "information", "considered", "trend")}
    if begin is not None:
        arrays |= {"x": begin.x, "s": begin.s}
    return TrackingState(
        arrays={name: Array.of(array) for name, array in arrays.items()},
        variance=posterior.variance,
        dispersion=posterior.dispersion,
        dof=posterior.dof,
        interpolation=tracking.interpolation,
        residuals=tracking.residuals,
        window=tracking.window,
        n_rejected=tracking.n_rejected,
        trouble=tracking.trouble,
    )


def unpack(state: TrackingState) -> Tracking:
    """Unpack; raises ValueError where something is missing."""
    arrays = {name: packed.array() for name, packed in state.arrays.items()}
    missing = {"h", "information", "considered", "trend"} - arrays.keys()
    if missing:
        raise ValueError(f"the snapshot lacks {', '.join(sorted(missing))}")
    posterior = Posterior(
        arrays["h"],
        arrays["information"],
        arrays["considered"],
        state.variance,
        state.dof,
        arrays["trend"],
        state.dispersion,
    )
    begin = Start(arrays["x"], arrays["s"]) if "x" in arrays and "s" in arrays else None
    return Tracking(
        posterior, begin, state.interpolation, state.residuals, state.window, state.n_rejected, state.trouble
    )
