"""The streaming corrector: corrected values with uncertainty, block by block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import CorrectedSpan, FloatArray

Int64Array = npt.NDArray[np.int64]


class StreamingCorrector:
    """Corrects one stream with one coefficient set; bounded state."""

    def __init__(
        self,
        coefficients: CoefficientSet,
        *,
        max_jitter: float = 0.25,
        max_bridge: int = 3,
        compiled: bool | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def coefficients(self) -> CoefficientSet:
        """The set in use."""
        raise NotImplementedError

    @property
    def history_length(self) -> int:
        """Number of raw samples after which nothing older matters: what `prime` needs for a bumpless switch."""
        raise NotImplementedError

    def prime(self, t_ns: Int64Array, raw: FloatArray, quality_codes: UInt32Array | None = None) -> None:
        """Start from raw history, as if it had been processed; its outputs are dropped."""
        raise NotImplementedError

    def process(
        self, t_ns: Int64Array, raw: FloatArray, quality_codes: UInt32Array | None = None, u_t_ns: int = 0
    ) -> CorrectedSpan | None:
        """Take a block, return what became ready with it, or None where nothing did.

        Raises
        ------
        InvalidData
            If instants are not strictly increasing, within the block and against the last one, or shapes differ.
        """
        raise NotImplementedError
