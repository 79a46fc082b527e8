"""The newest aligned samples of one segment: what spectra are fitted to and candidates are judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from services.calibrate.alignment import Aligned


@dataclass(slots=True, eq=False)
class Window:
    """The last `capacity` samples of the present segment; a new segment starts it anew.

    Attributes
    ----------
    t_ns : int64, shape (n,)
    indication, reference : float64, shape (n,)
    irregular : bool
        Whether the samples lie on no grid.
    """

    capacity: int
    t_ns: Int64Array
    indication: FloatArray
    reference: FloatArray
    irregular: bool = False

    @classmethod
    def empty(cls, capacity: int) -> Window:
        """Return a window without samples."""
        return cls(capacity, np.empty(0, np.int64), np.empty(0), np.empty(0))

    def __len__(self) -> int:
        return int(self.t_ns.size)

    def add(self, aligned: Aligned) -> None:
        """Take in a run."""
        record, keep = aligned.record, slice(-self.capacity, None)
        self.irregular = aligned.irregular
        if aligned.new_segment:
            self.t_ns, self.indication, self.reference = record.t_ns, record.indication, record.reference
        else:
            self.t_ns = np.concatenate((self.t_ns, record.t_ns))
            self.indication = np.concatenate((self.indication, record.indication))
            self.reference = np.concatenate((self.reference, record.reference))
        self.t_ns, self.indication, self.reference = self.t_ns[keep], self.indication[keep], self.reference[keep]

    def interval_error(self, dt_ns: int) -> float:
        """Return how far the median interval is from `dt_ns`, relative; 0 where that cannot be said, or is no fault."""
        if len(self) < 3 or self.irregular:
            return 0.0
        steps = np.diff(self.t_ns)
        if 2 * int(np.count_nonzero(steps == dt_ns)) > steps.size:  # more than half: that is the median
            return 0.0
        return float(np.median(steps)) / dt_ns - 1
