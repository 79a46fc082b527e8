"""The online estimator beside a recursive least squares of a library: ``python -m tests.benchmarks.bench_adaptive``.

Both see the same samples of a thermocouple whose converter's noise is 20 dB below its signal. padasip has three
coefficients and no uncertainty; ours has parameters with covariance, noise, tests of each block and drift statistics.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Final

from dyncal.identification import OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from dyncal.kernels import warm_up
from tests.benchmarks import foreign
from tests.benchmarks.bench_identification import alone_ns
from tests.evidence import Figure, table
from tests.unit.identification.plant import THERMOCOUPLE

PLANT: Final = replace(THERMOCOUPLE, snr_db=20.0)
N: Final = 24_000
FORGETTING: Final = 0.9999
SECTION: Final = "online, one thermocouple at 20 dB: against padasip"
_INF: Final = math.inf


def sections() -> dict[str, list[Figure]]:
    """Measure; nothing where padasip cannot be had."""
    if not foreign.available():
        return {}
    warm_up()
    settings = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
    record = PLANT.record(N, seed=1)
    first, size = alone_ns(PLANT, settings, N)
    theirs = foreign.run("adaptive.py", {"y": record.indication, "r": record.reference, "forgetting": FORGETTING})
    ours = min(first, alone_ns(PLANT, settings, N)[0])  # before and after: the machine may be slower at one time
    estimator = OnlineEstimator(PLANT.kind, PLANT.dt_ns, settings)
    estimator.update(record)
    estimate = estimator.estimate
    assert estimate is not None
    assert estimate.parameters is not None
    true = PLANT.theta[1]
    tau_s, u_tau_s = float(estimate.parameters.values[1]), float(estimate.parameters.u[1])
    pole = float(theirs["coefficients"][0])
    their_tau_s = -1 / (PLANT.rate_hz * math.log(pole)) if 0 < pole < 1 else math.nan
    ratio = float(theirs["seconds"]) / N / (ours * 1e-9)
    return {
        SECTION: [
            Figure(
                f"time of `FilterRLS` (3 coefficients) over ours, blocks of {size} samples",
                ratio,
                1.0,
                _INF,
                N,
                unit="×",
                peer="padasip",
            ),
            Figure(
                "`FilterRLS`: relative error of the time constant",
                their_tau_s / true - 1,
                -_INF,
                _INF,
                N,
                unit="%",
                peer="padasip",
            ),
            Figure(
                "ours: relative error of the time constant", tau_s / true - 1, -_INF, _INF, N, unit="%", peer="padasip"
            ),
            Figure("ours: the same, in its u", abs(tau_s - true) / u_tau_s, 0.0, 3.0, N, peer="padasip"),
        ]
    }


def main() -> None:
    """Print the table."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
