"""PyDynamic's filters with uncertain coefficients: `IIRuncFilter`, and `FIRuncFilter` with a covariance of the taps."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from PyDynamic.uncertainty.propagate_filter import FIRuncFilter, IIRuncFilter

from tests.benchmarks.foreign_scripts.exchange import best_s, give, inputs


def main() -> None:
    """Time both; what they print of themselves is left out."""
    given = inputs()
    last: dict[str, Any] = {}

    def recursive() -> None:
        last["iir"] = IIRuncFilter(given["x"], given["u_x"], given["b"], given["a"], Uab=given["cov"], kind="diag")[:2]

    def nonrecursive() -> None:
        last["fir"] = FIRuncFilter(given["x"], given["u_x"], given["taps"], given["cov_taps"])

    with contextlib.redirect_stdout(io.StringIO()):
        iir_s = best_s(recursive, 3)
        fir_s = best_s(nonrecursive, 3)
    (iir_y, iir_u), (fir_y, fir_u) = last["iir"], last["fir"]
    give(iir_s=iir_s, fir_s=fir_s, iir_y=iir_y, iir_u=iir_u, fir_y=fir_y, fir_u=fir_u)


if __name__ == "__main__":
    main()
