"""The χ² of a fit against what its uncertainties promise, in plain Python: the edge has no scipy."""

from __future__ import annotations

import math
from typing import Final

_T95: Final = (12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814)


def chi2_p_value(chi2: float, dof: int) -> float:
    """Return the probability of a χ² at least this large with `dof` degrees of freedom; NaN for none.

    Q(a + 1, x) = Q(a, x) + xᵃ e⁻ˣ/Γ(a + 1), a = dof/2, x = χ²/2, from erfc(√x) or e⁻ˣ (Abramowitz & Stegun 6.5.21).
    """
    if dof < 1 or not chi2 >= 0:
        return math.nan
    if math.isinf(chi2):
        return 0.0
    x, a = chi2 / 2, 0.5 if dof % 2 else 1.0
    total = math.erfc(math.sqrt(x)) if dof % 2 else math.exp(-x)
    while a < dof / 2:
        if x > 0:
            total += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(total, 1.0)


def coverage_factor(dof: int | None) -> float:
    """Return the half-width of a 95 % interval in standard uncertainties from `dof` degrees of freedom (None: many).

    Student's t (JCGM 100, table G.2), beyond 10 by its expansion about the normal quantile.
    """
    z = 1.959964
    if dof is None:
        return z
    if dof <= len(_T95):
        return _T95[dof - 1]
    second, third = z * (5 * z**4 + 16 * z**2 + 3) / 96, z * (3 * z**6 + 19 * z**4 + 17 * z**2 - 15) / 384
    return z + z * (z**2 + 1) / (4 * dof) + second / dof**2 + third / dof**3


def aicc(chi2: float, n_parameters: int, n_values: int) -> float:
    """Return Akaike's criterion for a χ² with known variances, corrected for few values (Hurvich & Tsai, 1989).

    Infinite where there are not two values more than parameters.
    """
    spare = n_values - n_parameters - 1
    if spare < 1:
        return math.inf
    return chi2 + 2 * n_parameters + 2 * n_parameters * (n_parameters + 1) / spare
