"""What a windowed estimator carries on, and that as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from dyncal.contracts import codec
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.record_fit.settings import InterSample
from dyncal.identification.records import AlignedRecord

_VERSION: Final = 1
_SHORTEST: Final = 8  # samples below which a piece of a record says nothing

Columns = tuple[Int64Array, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the windows since the last new beginning say together.

    Attributes
    ----------
    theta : float64, shape (p,)
    information, systematic : float64, shape (p, p)
        Of the noise alone; and the covariance of what the reference contributes besides.
    dispersion : float
        Ratio of the windows' disagreement to what they claim, not below 1.
    between : InterSample
        Course between the reference's samples that was best at the first window.
    """

    theta: FloatArray
    information: FloatArray
    systematic: FloatArray
    dispersion: float
    between: InterSample
    noise_std: float
    reduced_chi2: float
    whiteness_p: float
    n_samples: int
    from_ns: int
    to_ns: int
    detail: str

    @property
    def cov(self) -> FloatArray:
        """Covariance of `theta`, (p, p), without the systematic contributions."""
        cov = np.linalg.inv(self.information)
        result: FloatArray = (cov + cov.T) / 2
        return result


@dataclass(slots=True, eq=False)
class State:
    """All but the samples.

    Attributes
    ----------
    wanted : int
        Samples that make the next window.
    n_rejected, n_in_vain : int
        Windows in a row that contradicted the model; fits in a row that led to nothing, for whatever reason.
    verdict, detail : str
        Of what was refused last; empty where nothing is.
    last_fit_ns : int
        Newest instant at the last fit.
    """

    wanted: int
    known: Known | None = None
    n_rejected: int = 0
    n_in_vain: int = 0
    verdict: str = ""
    detail: str = ""
    last_fit_ns: int = 0


class Gathered:
    """The newest samples, at most `most`, in runs without gaps."""

    def __init__(self, runs: list[Columns], most: int) -> None:
        self.runs, self._most = runs, most

    @property
    def count(self) -> int:
        """Number of samples."""
        return sum(t_ns.size for t_ns, _, _ in self.runs)

    @property
    def first_ns(self) -> int:
        """First instant."""
        return int(self.runs[0][0][0])

    @property
    def last_ns(self) -> int:
        """Last instant."""
        return int(self.runs[-1][0][-1])

    def add(self, columns: Columns, *, new_run: bool) -> None:
        """Add instants, indications and references; drop the oldest beyond what is kept."""
        if new_run or not self.runs:
            self.runs.append(columns)
        else:
            (t_ns, y, r), (t, more, other) = self.runs[-1], columns
            self.runs[-1] = np.concatenate((t_ns, t)), np.concatenate((y, more)), np.concatenate((r, other))
        self.keep(self._most)

    def keep(self, n: int) -> None:
        """Keep the newest n."""
        surplus = self.count - n
        while surplus > 0:
            size = self.runs[0][0].size
            if size <= surplus:
                del self.runs[0]
            else:
                t_ns, y, r = self.runs[0]
                self.runs[0] = (t_ns[surplus:], y[surplus:], r[surplus:])
            surplus -= size

    def records(self) -> list[AlignedRecord]:
        """Return the runs that are long enough to say something."""
        return [AlignedRecord(*run) for run in self.runs if run[0].size >= _SHORTEST]


class _Packed(msgspec.Struct, frozen=True):
    v: int
    names: tuple[str, ...]
    dt_ns: int
    state: State
    runs: list[Columns]


def packed(names: tuple[str, ...], dt_ns: int, state: State, gathered: Gathered) -> bytes:
    """Return the state as bytes, exact to the last bit."""
    return msgspec.msgpack.encode(_Packed(_VERSION, names, dt_ns, state, gathered.runs), enc_hook=_to_plain)


def unpacked(data: bytes, names: tuple[str, ...]) -> tuple[int, State, list[Columns]]:
    """Return interval, state and samples of what `packed` packed.

    Raises
    ------
    InvalidData
        If it cannot be read, or is of a model with other parameters.
    """
    try:
        found = msgspec.msgpack.decode(data, type=_Packed, dec_hook=_to_array)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise InvalidData(f"this is no snapshot of a windowed estimator: {error}") from error
    if found.v != _VERSION or found.names != names:
        raise InvalidData(f"the snapshot is of version {found.v}, of a model with {', '.join(found.names)}")
    p, known = len(names), found.state.known
    if known is not None and not (
        known.theta.shape == (p,) and known.information.shape == known.systematic.shape == (p, p)
    ):
        raise InvalidData("the snapshot contradicts itself: shapes of parameters")
    if any(t.shape != y.shape or t.shape != r.shape or t.ndim != 1 or not t.size for t, y, r in found.runs):
        raise InvalidData("the snapshot contradicts itself: lengths of runs")
    return found.dt_ns, found.state, found.runs


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, codec.array_to_bytes(value, "<i8" if value.dtype == np.int64 else "<f8")
    raise NotImplementedError(type(value).__name__)  # what msgspec asks of a hook that does not know a type


def _to_array(kind: object, value: tuple[tuple[int, ...], bytes]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    shape, data = value
    return codec.array_from_bytes(data, "<i8" if kind == Int64Array else "<f8", "snapshot").reshape(shape)
