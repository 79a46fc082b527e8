"""The matrix exponential of many small matrices at once, in plain numpy: the edge has no scipy."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray

# Coefficients of the diagonal Padé approximant of degree 13, and the norm below which it is exact to 2⁻⁵³.
_PADE: Final = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)
_THETA: Final = 5.371920351148152


def exponential(matrices: FloatArray) -> FloatArray:
    """Return e^M for each matrix M of shape (..., n, n), finite.

    Padé approximant of degree 13 with scaling and squaring (Higham, SIAM J. Matrix Anal. Appl. 26 (2005) 1179).
    """
    norms = np.abs(matrices).sum(axis=-2).max(axis=-1)
    squarings = np.ceil(np.log2(np.maximum(norms / _THETA, 1.0))).astype(np.int64)
    m = matrices / np.exp2(squarings)[..., None, None]
    eye = np.eye(m.shape[-1])
    m2 = m @ m
    m4 = m2 @ m2
    m6 = m4 @ m2
    b = _PADE
    u = m @ (m6 @ (b[13] * m6 + b[11] * m4 + b[9] * m2) + b[7] * m6 + b[5] * m4 + b[3] * m2 + b[1] * eye)
    v = m6 @ (b[12] * m6 + b[10] * m4 + b[8] * m2) + b[6] * m6 + b[4] * m4 + b[2] * m2 + b[0] * eye
    result: FloatArray = np.linalg.solve(v - u, v + u)
    for k in range(int(squarings.max(initial=0))):
        result = np.where((squarings > k)[..., None, None], result @ result, result)
    return result
