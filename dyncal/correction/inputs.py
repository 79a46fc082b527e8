"""What the filters with uncertain coefficients ask of their inputs, and the factor of a covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dyncal.correction.streaming.slots import usable
from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

Numbers = Sequence[float] | npt.NDArray[np.float64]

_MOST_GAIN: Final = 1e50  # times 1e100, squared: within the range of numbers
_VALUE: Final = np.dtype(np.float64)


def numbers(name: str, values: Numbers, *, least: int = 1) -> FloatArray:
    """Return a copy as float64 of one dimension; `InvalidData` unless it has `least` finite entries or more."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidData(f"{name} must be numbers: {error}") from error
    if array.ndim != 1 or array.size < least:
        raise InvalidData(f"{name} must have one dimension and at least {least} entries, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidData(f"{name} holds NaN or infinity")
    return array


def samples(name: str, values: Numbers) -> FloatArray:
    """Return what a kernel can take: float64, one dimension, C order, aligned, writable; a copy where it is not.

    What is masked becomes NaN.
    """
    if type(values) is np.ndarray and values.dtype is _VALUE and values.ndim == 1:
        return values if values.flags.carray else values.copy()
    values = unmasked(values)
    if np.iscomplexobj(values):
        raise InvalidData(f"{name} must be real")
    try:
        array = np.array(values, _VALUE)
    except (TypeError, ValueError) as error:
        raise InvalidData(f"{name} must be numbers: {error}") from error
    if array.ndim != 1:
        raise InvalidData(f"{name} must have one dimension, not shape {array.shape}")
    return array


def unmasked(values: Numbers) -> Numbers:
    """Return values as they are, NaN where they are masked: numpy would go on with what lies below the mask."""
    return np.ma.filled(values.astype(_VALUE), np.nan) if isinstance(values, np.ndarray) and masked(values) else values


def masked(array: npt.NDArray[Any]) -> bool:
    """Tell whether an array has a mask. `numpy.ma`, a megabyte, is only loaded for arrays of special kinds."""
    return type(array) is not np.ndarray and isinstance(array, np.ma.MaskedArray)


def instants(name: str, values: Sequence[int] | Int64Array) -> Int64Array:
    """Return whole nanoseconds as int64, one dimension.

    Raises
    ------
    InvalidData
        If they are masked, no whole numbers (floats do not hold nanoseconds of this century), or beyond int64.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise InvalidData(f"{name} must have one dimension, not shape {array.shape}")
    if (isinstance(values, np.ndarray) and masked(values)) or (array.size and array.dtype.kind not in "iu"):
        raise InvalidData(f"{name} must be whole nanoseconds without a mask, not {array.dtype}")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise InvalidData(f"{name} reach beyond the range of int64")
    return array.astype(np.int64)


def outputs(x: FloatArray, out: tuple[FloatArray, FloatArray] | None) -> tuple[FloatArray, FloatArray]:
    """Return two arrays of x's shape to write into; `InvalidData` where those given cannot take it."""
    if out is None:
        return np.empty(x.shape), np.empty(x.shape)
    for array in out:
        if array.shape != x.shape or array.dtype != _VALUE or not array.flags.carray:
            raise InvalidData(f"outputs must be writable float64 of shape {x.shape} in C order")
        if np.may_share_memory(array, x):
            raise InvalidData("an output lies over the input")
    if np.may_share_memory(*out):
        raise InvalidData("the two outputs lie over each other")
    return out


def standard_uncertainty(name: str, value: float) -> float:
    """Return a standard uncertainty; `InvalidData` unless it is finite and not negative."""
    if not 0.0 <= value < 1e100:
        raise InvalidData(f"{name} must be finite and not negative, not {value}")
    return float(value)


def deviations(u_x: Numbers, x: FloatArray) -> FloatArray:
    """Return the standard deviations of the noise in each sample of x, NaN where it is not finite or beyond 1e100.

    Raises
    ------
    InvalidData
        If there are not as many as samples, or one is negative.
    """
    given = samples("u_x", u_x)
    if given.shape != x.shape:
        raise InvalidData(f"{x.size} samples need as many u_x, not {given.size}")
    if np.any(given < 0):
        raise InvalidData("a standard uncertainty cannot be negative")
    return np.where(usable(given), given, np.nan)


def covariance(name: str, values: npt.ArrayLike | None, n: int) -> FloatArray:
    """Return a covariance of shape (n, n), zero where `values` is None.

    Raises
    ------
    InvalidData
        If the shape does not fit, or as `dyncal.domain.covariances.correlations`.
    """
    if values is None:
        return np.zeros((n, n))
    cov = np.array(values, np.float64)
    if cov.shape != (n, n):
        raise InvalidData(f"{name} must have shape {(n, n)}, not {cov.shape}")
    correlations(cov, name)
    symmetric: FloatArray = (cov + cov.T) / 2
    return symmetric


def factor(cov: FloatArray) -> FloatArray:
    """Return F, shape (rank, n), upper trapezoidal, with Fᵀ F = cov.

    A sum of squares ‖F c‖² cannot be negative, and a row starts at its diagonal: rank·n - rank²/2 products.
    """
    correlation, scale = correlations(cov, "covariance")
    values, vectors = np.linalg.eigh(correlation)
    # what rounding leaves of a zero eigenvalue is no direction
    kept = values > cov.shape[0] * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    root = (np.sqrt(values[kept])[:, None] * vectors.T[kept]) * scale
    return np.ascontiguousarray(np.linalg.qr(root, mode="r")) if kept.any() else np.zeros((0, cov.shape[0]))


def check_gain(name: str, gain: float) -> None:
    """Refuse a filter that could lead finite samples out of the range of numbers."""
    if not gain < _MOST_GAIN:
        raise InvalidData(f"{name} amplifies beyond {_MOST_GAIN:g}")
