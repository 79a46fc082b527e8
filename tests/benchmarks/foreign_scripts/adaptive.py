"""padasip's recursive least squares on the samples of a sensor and its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import padasip

from tests.benchmarks.foreign_scripts.exchange import best_s, give, inputs


def main() -> None:
    """Fit y[k] = a y[k-1] + b r[k] + c r[k-1]; time it, and give the coefficients in the end."""
    given = inputs()
    y, r = given["y"], given["r"]
    features = np.column_stack([y[:-1], r[1:], r[:-1]])
    last: dict[str, Any] = {}

    def fit() -> None:
        rls = padasip.filters.FilterRLS(n=3, mu=given["forgetting"], w="zeros")
        rls.run(y[1:], features)
        last["w"] = rls.w

    seconds = best_s(fit, 3)
    give(seconds=seconds, coefficients=last["w"])


if __name__ == "__main__":
    main()
