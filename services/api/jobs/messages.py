"""What goes to the process of a fit, and comes back."""

from __future__ import annotations

import msgspec
import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.sensors import ModelKind, Pairing


class Asked(msgspec.Struct, frozen=True):
    """A job: int64 and float64 arrays, little-endian."""

    pairing: Pairing
    t_ns: bytes
    indication: bytes
    reference: bytes


class Found(msgspec.Struct, frozen=True):
    """What came of it: `error` for data that cannot be fitted to, otherwise the rest."""

    error: str = ""
    verdict: str = ""
    model: str = ""
    names: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    cov: tuple[float, ...] = ()
    unobservable: tuple[str, ...] = ()
    reduced_chi2: float = 0.0
    whiteness_p: float = 0.0
    noise_std: float = 0.0
    n_samples: int = 0
    window_from_ns: int = 0
    window_to_ns: int = 0
    method: str = ""
    detail: str = ""

    def parameters(self) -> Parameters:
        """Return the parameters; none at all where the fit gave none."""
        p = len(self.names)
        return Parameters(ModelKind(self.model), self.names, np.array(self.values), np.array(self.cov).reshape(p, p))
