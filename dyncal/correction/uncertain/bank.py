"""Many recursive filters with uncertain coefficients, one for each sensor, over samples that lie time-major."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from dyncal.correction import inputs
from dyncal.correction.uncertain import lane_kernels as kernels
from dyncal.correction.uncertain import plain_recursive
from dyncal.correction.uncertain.recursive import Past, RecursiveFilter, packed
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

_LANES, _ROWS, _MARKS = kernels.LANES, kernels.ROWS, kernels.MARKS
_VALUE = np.dtype(np.float64)


class FilterBank:
    """Filters of order 2 at most, side by side: the numbers of so many `UncertainIIR`, to the last bit, but faster.

    128 sensors at a time are filtered on vectors; kernels release the GIL.

    Parameters
    ----------
    filters : sequence of RecursiveFilter
        One for each sensor (`dyncal.correction.uncertain.recursive.prepare`).
    past : {"unknown", "constant"}
        As `UncertainIIR`.
    executor : concurrent.futures.Executor, optional
        Threads that `process` may use; without it the caller's thread does all.
    parts : int
        Into how many tasks `process` divides the sensors; the caller's thread takes one, `executor` the others.
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Raises
    ------
    InvalidData
        If there is no filter, or one of higher order.
    """

    def __init__(
        self,
        filters: Sequence[RecursiveFilter],
        *,
        past: Past = "unknown",
        executor: Executor | None = None,
        parts: int = 1,
        compiled: bool | None = None,
    ) -> None:
        if not filters:
            raise InvalidData("a bank needs at least one filter")
        if past not in ("unknown", "constant"):
            raise InvalidData(f"past is 'unknown' or 'constant', not {past!r}")
        if parts < 1:
            raise InvalidData(f"parts must be 1 or more, not {parts}")
        for i, one in enumerate(filters):
            if one.order != 2:
                raise InvalidData(f"filter {i} has order {one.order}: a bank runs order 2 at most; use UncertainIIR")
        self.width = len(filters)
        self._filters = tuple(filters)
        self._executor, self._parts = executor, parts
        self._past = past
        self._compiled = HAVE_NUMBA if compiled is None else compiled
        self.reset()

    def reset(self) -> None:
        """Forget the streams."""
        constant = float(self._past == "constant")
        if not self._compiled:
            self._plain = [plain_recursive.PlainIIR(one) for one in self._filters]
            self._states = np.zeros((self.width, 7))
            self._states[:, 2] = constant
            return
        blocks = -(-self.width // _LANES)
        tables = np.zeros((blocks, _ROWS, _LANES))
        marks = np.zeros((blocks, _MARKS, _LANES))
        marks[:, 0] = 1.0  # lanes that no sensor has are calm
        for i, one in enumerate(self._filters):
            block, lane = divmod(i, _LANES)
            numbers = packed(one)
            tables[block, :5, lane] = numbers[1:6]
            tables[block, 5, lane] = one.variance
            tables[block, 6:21, lane] = numbers[6:]
            marks[block, :, lane] = 0.0, 0.0, one.settle, constant
        self._tables, self._marks, self._blocks = tables.reshape(-1), marks.reshape(-1), blocks

    def process(
        self, x: FloatArray, *, out: tuple[FloatArray, FloatArray] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Filter the next samples of all sensors.

        Parameters
        ----------
        x : float64, shape (n, sensors)
            A row an instant; NaN where a sensor has no value. Fastest in C order.
        out : (float64, float64), each of shape (n, sensors), optional
            Where y and u are written, so that nothing is allocated; neither may lie over x.

        Returns
        -------
        y, u : float64, shape (n, sensors)
            Filtered values and their standard uncertainties, NaN by the rules of `UncertainIIR`.

        Raises
        ------
        InvalidData
            If shape or type do not fit; the states are then unchanged.
        """
        x = np.asarray(inputs.unmasked(x))
        if x.ndim != 2 or x.shape[1] != self.width or x.dtype != _VALUE:
            raise InvalidData(
                f"a bank of {self.width} takes float64 of shape (n, {self.width}), not {x.dtype} of shape {x.shape}"
            )
        y, u = inputs.outputs(x, out)
        if not self._compiled:
            for i, (plain, one) in enumerate(zip(self._plain, self._filters, strict=True)):
                column = np.ascontiguousarray(x[:, i])
                plain.run(self._states[i], column, np.array([one.variance]), y[:, i], u[:, i])
            return y, u
        flat = inputs.samples("x", x.reshape(-1))
        if self._executor is None or self._parts == 1:
            self._run(0, self._blocks, flat, y.reshape(-1), u.reshape(-1))
            return y, u
        cuts = np.linspace(0, self._blocks, min(self._parts, self._blocks) + 1).round().astype(int).tolist()
        (first, last), *others = itertools.pairwise(cuts)
        tasks = [
            self._executor.submit(self._run, low, high, flat, y.reshape(-1), u.reshape(-1)) for low, high in others
        ]
        self._run(first, last, flat, y.reshape(-1), u.reshape(-1))
        for task in tasks:
            task.result()
        return y, u

    def _run(self, first: int, last: int, x: FloatArray, y: FloatArray, u: FloatArray) -> None:
        kernels.second_order_lanes(self._tables, self._marks, first, last, self.width, x, y, u)
