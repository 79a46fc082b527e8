"""Memory that is used again: fresh memory of megabytes costs a fault of the processor for every page."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_MARGIN = 1.25


class Scratch:
    """Arrays by name, which grow as they must; an array is anybody's again when its name is asked for again."""

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[Any]] = {}

    def array(self, name: str, n: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Return an array of shape (n,), whatever is in it."""
        kept = self._kept.get(name)
        if kept is None or kept.size < n:
            kept = self._kept[name] = np.empty(int(n * _MARGIN), dtype)
        return kept[:n]
