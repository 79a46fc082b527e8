"""PyDynamic's Monte Carlo of a filter with uncertain coefficients: `MC`, and `UMC` with its default settings."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from PyDynamic.uncertainty.propagate_MonteCarlo import MC, UMC

from tests.benchmarks.foreign_scripts.exchange import best_s, give, inputs


def main() -> None:
    """Time both; `UMC` takes minutes, and is run once."""
    given = inputs()
    x, b, a, cov, runs = given["x"], given["b"], given["a"], given["cov"], int(given["runs"])
    u_x = float(given["u_x"])
    last: dict[str, Any] = {}

    def mc() -> None:
        last["mc"] = MC(x, u_x, b, a, cov, runs=runs, verbose=False)

    def umc() -> None:
        last["umc"] = UMC(x, b, a, cov, runs=runs, sigma=u_x)

    np.random.seed(1)  # noqa: NPY002 - its global generator is the one that it draws from
    with contextlib.redirect_stdout(io.StringIO()):
        mc_s, umc_s = best_s(mc, 5), best_s(umc, 1)
    y, cov_y = last["mc"]
    mean, spread = last["umc"][:2]
    give(mc_s=mc_s, mc_y=y, mc_u=np.sqrt(np.diag(cov_y)), umc_s=umc_s, umc_y=mean, umc_u=np.sqrt(np.diag(spread)))


if __name__ == "__main__":
    main()
