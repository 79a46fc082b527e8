"""PyDynamic's fit of a second-order model to frequency-response points, with its Monte Carlo of 10 000 runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from PyDynamic.model_estimation.fit_transfer import fit_som

from tests.benchmarks.foreign_scripts.exchange import best_s, give, inputs


def main() -> None:
    """Time the fit as it stands, and weighted by the covariance, which is what its result can be compared with."""
    given = inputs()
    f, h, cov = given["f_hz"], given["h"], given["cov"]
    last: dict[str, Any] = {}

    def plain() -> None:
        last["plain"] = fit_som(f, h, UH=cov)

    def weighted() -> None:
        last["weighted"] = fit_som(f, h, UH=cov, weighting="cov")

    np.random.seed(1)  # noqa: NPY002 - its global generator is the one that it draws from
    plain_s, weighted_s = best_s(plain, 3), best_s(weighted, 3)
    theta, cov_theta = last["weighted"]
    give(plain_s=plain_s, weighted_s=weighted_s, theta=theta, u=np.sqrt(np.diag(cov_theta)))


if __name__ == "__main__":
    main()
