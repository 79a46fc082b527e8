"""What the compiled passes agree on: numbers of kinds, rows and columns.

The model of a block is the innovations form (Ljung, System Identification, 2nd ed., 4.3 and 11; docs/metrology.md)::

    e_k = y_k - c x_k,      x_k⁺ = x_k + K e_k,      x_{k+1} = Φ x_k⁺ + Γ0 r_k + Γh r_{k+½} + Γ1 r_{k+1}

with K = 0 for output error. Coordinates are h = (η, κ), K = K(κ); a sensitivity s_i = ∂x/∂h_i obeys the differentiated
recursion. All kinds have two states and four rows for η here, what a kind lacks being zero, so that every loop over
rows has a length known to the compiler. Rows: 0 to 3 η, `KAPPA`, `OFFSET` and `CLOCK` (unit disturbances of the
reference, to be considered), and the innovation itself as the last column of the Gram matrix.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.sensors import ModelKind

BoolArray = npt.NDArray[np.bool_]

CODES: Final = {ModelKind.FIRST_ORDER: 0, ModelKind.SECOND_ORDER: 1, ModelKind.LEAD_LAG: 2}
"""Kinds of model by the number that kernels know them by."""

KAPPA: Final = 4
OFFSET: Final = 5
CLOCK: Final = 6
ROWS: Final = 8
"""Width of a Gram matrix; its last column is that of the innovation."""

NO_NOISE: Final = 40.0
"""As -κ: output error; there K is 0 to the last digit."""

CONVERGED: Final = 0
SSE: Final = 1
POWER: Final = 2
LJUNG_BOX: Final = 3
LAGS: Final = 4
NOISE_SHARE: Final = 5
UNEXPLAINED: Final = 6
CLIPPED: Final = 7
REPEATED: Final = 13
MOTION: Final = 14
N_RESULT: Final = 17
"""Columns of what `fit_blocks` says beside h."""

NOTHING: Final = 1e-100
"""What is smaller would soon be denormal, and slow."""
