"""The compiled part of drift detection: a block's scores, and the comparison of every instant with all before it.

Matrices are of mixed units; all are brought to a unit diagonal before their eigenvalues are taken (Jacobi's rotations:
Golub & Van Loan, Matrix Computations, 8.5), so that one threshold tells what is singular.
"""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.limit import CLIP, ENOUGH_BEFORE, FEWEST, SCALE, WINDOW
from dyncal.kernels import kernel

ENOUGH = 4
"""Residuals that a scatter must rest on before anything is compared with it."""
LEAST = 0.2
"""Least scatter, in units of what blocks claim: estimates that repeat themselves are no proof of a perfect sensor."""
NOTHING, ALONE, JUDGED, WILD = 0, 1, 2, 3
"""What `judge` found: no estimate; one without a baseline; one with scores; one with a score at the clip."""

_SINGULAR = 1e-10  # smallest eigenvalue of what can be inverted
_IMMENSE = 1e60  # no parameter of a sensor; its fourth power is still a number
_USELESS_U = 0.5  # a block that knows a parameter less well than this, relative, says nothing of it
_GROSS = 12.0  # while the scatter is not known: beyond the clip even if blocks claim a third of their true scatter


@kernel()
def _eigen(matrix: FloatArray, vectors: FloatArray) -> None:
    """Turn a symmetric matrix (p, p) of unit diagonal into its eigenvalues' and find their vectors, as columns."""
    p = matrix.shape[0]
    for i in range(p):
        for j in range(p):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        rest = 0.0
        for i in range(p):
            for j in range(i):
                rest += matrix[i, j] ** 2
        if rest < 1e-32:
            return
        for i in range(p):
            for j in range(i):
                if matrix[i, j] != 0.0:
                    _rotate(matrix, vectors, i, j)


@kernel()
def _rotate(matrix: FloatArray, vectors: FloatArray, i: int, j: int) -> None:
    """Make element (i, j) zero by a rotation."""
    cot = (matrix[j, j] - matrix[i, i]) / (2 * matrix[i, j])
    tan = (1.0 if cot >= 0 else -1.0) / (abs(cot) + np.sqrt(cot * cot + 1))
    cos = 1 / np.sqrt(tan * tan + 1)
    sin = tan * cos
    for k in range(matrix.shape[0]):
        a, b = matrix[k, i], matrix[k, j]
        matrix[k, i], matrix[k, j] = cos * a - sin * b, sin * a + cos * b
    for k in range(matrix.shape[0]):
        a, b = matrix[i, k], matrix[j, k]
        matrix[i, k], matrix[j, k] = cos * a - sin * b, sin * a + cos * b
        a, b = vectors[k, i], vectors[k, j]
        vectors[k, i], vectors[k, j] = cos * a - sin * b, sin * a + cos * b
    matrix[i, j] = matrix[j, i] = 0.0


@kernel("b1(f8[:, ::1], f8[:, ::1])")
def inverse(matrix: FloatArray, out: FloatArray) -> bool:
    """Write the inverse of a positive definite matrix (p, p); return whether it has one worth the name.

    Its unit form ``D^-1 M D^-1``, D the roots of the diagonal, must have no eigenvalue below 1e-10.
    """
    p = matrix.shape[0]
    unit, vectors, scale = np.empty((p, p)), np.empty((p, p)), np.empty(p)
    for i in range(p):
        if not 0 < matrix[i, i] < np.inf:
            return False
        scale[i] = 1 / np.sqrt(matrix[i, i])
    for i in range(p):
        for j in range(p):
            unit[i, j] = (matrix[i, j] + matrix[j, i]) / 2 * scale[i] * scale[j]
            if not np.isfinite(unit[i, j]):
                return False
    _eigen(unit, vectors)
    for k in range(p):
        if not unit[k, k] >= _SINGULAR:
            return False
    for i in range(p):
        for j in range(p):
            total = 0.0
            for k in range(p):
                total += vectors[i, k] * vectors[j, k] / unit[k, k]
            out[i, j] = total * scale[i] * scale[j]
    return True


@kernel()
def whitened(deviation: FloatArray, cov: FloatArray, out: FloatArray) -> None:
    """Write uncorrelated standard scores (p,) of a deviation with covariance (p, p), each near to its parameter.

    ``R^-1/2 D^-1 x`` with the correlations R and standard deviations D (ZCA-cor whitening: Kessy, Lewin & Strimmer, The
    American Statistician 72 (2018) 309).
    """
    p = deviation.size
    unit, vectors = np.empty((p, p)), np.empty((p, p))
    for i in range(p):
        for j in range(p):
            unit[i, j] = cov[i, j] / np.sqrt(cov[i, i] * cov[j, j])
    _eigen(unit, vectors)
    out[:] = 0.0
    for k in range(p):
        along = 0.0
        for i in range(p):
            along += vectors[i, k] * deviation[i] / np.sqrt(cov[i, i])
        along /= np.sqrt(max(unit[k, k], _SINGULAR))
        for i in range(p):
            out[i] += vectors[i, k] * along


@kernel()
def normal_score(residual: float, square: float, n: float) -> float:
    """Return a residual as a standard normal score, clipped, given the sum of squares of the n before it.

    A residual over the scatter of those before is Student's t with n degrees of freedom, and independent of the earlier
    ones (Hawkins, The Statistician 36 (1987) 299). The normal score of equal probability is, to 0.006 for n = 5 and
    0.0025 from n = 10 on::

        u = (8n + 1)/(8n + 3) √(n ln(1 + t²/n))

    (Wallace, Ann. Math. Stat. 30 (1959) 1121). While the scatter is not known only what is gross has a score.
    """
    if n < ENOUGH:
        size = CLIP if abs(residual) >= _GROSS else 0.0
    else:
        t = residual / max(np.sqrt(square / n), LEAST)
        size = min((8 * n + 1) / (8 * n + 3) * np.sqrt(n * np.log1p(min(t * t, 1e12) / n)), CLIP)
    return size if residual > 0 else -size


@kernel("i8(f8[:, ::1], f8[::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[:, ::1])")
def judge(
    block: FloatArray,
    vector: FloatArray,
    information: FloatArray,
    squares: FloatArray,
    n: FloatArray,
    scales: FloatArray,
    out: FloatArray,
) -> int:
    """Compare a block with all before it.

    Parameters
    ----------
    block : float64, shape (2 + p, p)
        Point of linearisation, score, and information, of the block.
    vector, information : float64, shape (p,), (p, p)
        The baseline's Σ I θ̂ and Σ I.
    squares, n : float64, shape (p,)
        Sums of squares of the residuals before, and their numbers.
    scales : float64, shape (p,)
        Sizes of parameters whose own value may be near 0.
    out : float64, shape (6, p)
        θ̂, residuals z, which of them say something (1 or 0), scores u, their weights ``a = P/√(V + P)``, and -ln V.

    Returns
    -------
    int
        `NOTHING`, `ALONE` (θ̂ only: there is no baseline), `JUDGED`, or `WILD`.
    """
    p = vector.size
    cov, known = np.empty((p, p)), np.empty((p, p))
    if not inverse(block[2:], cov):
        return NOTHING
    for i in range(p):
        if not abs(block[1, i]) < _IMMENSE:
            return NOTHING
    for i in range(p):
        out[0, i] = block[0, i]
        for j in range(p):
            out[0, i] += cov[i, j] * block[1, j]
        if not abs(out[0, i]) < _IMMENSE:
            return NOTHING
        out[5, i] = -np.log(cov[i, i])
    if not inverse(information, known):
        return ALONE
    mean, deviation = np.zeros(p), np.empty(p)
    for i in range(p):
        for j in range(p):
            mean[i] += known[i, j] * vector[j]
        deviation[i] = out[0, i] - mean[i]
    whitened(deviation, cov + known, out[1])
    found = JUDGED
    for i in range(p):
        size = max(abs(mean[i]), scales[i])
        used = np.sqrt(cov[i, i]) <= _USELESS_U * max(size, 1e-300)
        score = normal_score(out[1, i], squares[i], n[i]) if used else 0.0
        counts = used and (n[i] >= ENOUGH or score != 0.0)
        out[2, i] = 1.0 if used else 0.0
        out[3, i] = score
        out[4, i] = known[i, i] / np.sqrt(cov[i, i] + known[i, i]) if counts else 0.0
        if abs(score) >= CLIP:
            found = WILD
    return found


@kernel("i8(f8[:, ::1], i8[:, ::1], f8[:, ::1], i8, i8)")
def thin(rows: FloatArray, marks: Int64Array, sums: FloatArray, size: int, index: int) -> int:
    """Keep of `size` instants those that are looked at from block `index`; return how many.

    Up to 31 blocks back each, then every second, and so on (`dyncal.drift.limit.strides`). Sums count from the oldest
    instant on: with thousands of blocks before it, weights fall like their number.
    """
    kept = 0
    for k in range(size):
        age, stride = index - marks[k, 0], 1
        while age >= 32 * stride:
            stride *= 2
        if age <= WINDOW and marks[k, 0] % stride == 0:
            if kept < k:
                rows[kept] = rows[k]
                marks[kept] = marks[k]
            kept += 1
    p = sums.shape[1]
    for i in range(2 * p if kept else 0):
        first = rows[0, i]
        if first != 0.0:
            sums[i // p, i % p] -= first
            for k in range(kept):
                rows[k, i] -= first
    return kept


@kernel("void(f8[:, ::1], i8[:, ::1], f8[:, ::1], i8, f8[:, ::1])")
def compare(rows: FloatArray, marks: Int64Array, sums: FloatArray, index: int, statistics: FloatArray) -> None:
    """Write for each instant and parameter, (c, p), the root of ``G - ln(1 + 16/m)``, with the change's sign.

    G is the likelihood ratio ``(Σ a u)²/Σ a²`` over the m blocks since, see `dyncal.drift.limit`. 0 where there is
    nothing to compare.
    """
    p = sums.shape[1]
    for k in range(statistics.shape[0]):
        m = index - marks[k, 0]
        possible = m >= FEWEST and marks[k, 2] >= ENOUGH_BEFORE
        asked = np.log1p(SCALE / m) if possible else 0.0
        for i in range(p):
            moment, square = sums[0, i] - rows[k, i], sums[1, i] - rows[k, p + i]
            excess = moment * moment / square - asked if possible and square > 0 else 0.0
            root = np.sqrt(max(excess, 0.0))
            statistics[k, i] = root if moment > 0 else -root


@kernel("void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1])")
def levels(rows: FloatArray, vectors: FloatArray, now: FloatArray, means: FloatArray, variances: FloatArray) -> None:
    """Write mean and variance (c, p) of the parameters by the blocks after each instant; NaN where unknown.

    Parameters
    ----------
    rows : float64, shape (c, p·p)
        Information that was known at each instant.
    vectors : float64, shape (c, p)
        Σ I θ̂ that was known there.
    now : float64, shape (p + p·p,)
        Σ I θ̂ and Σ I by now.
    means, variances : float64, shape (c, p)
    """
    c, p = vectors.shape
    information, cov = np.empty((p, p)), np.empty((p, p))
    for k in range(c):
        for i in range(p):
            for j in range(p):
                information[i, j] = now[p + i * p + j] - rows[k, i * p + j]
        known = inverse(information, cov)
        for i in range(p):
            means[k, i] = 0.0
            for j in range(p):
                means[k, i] += cov[i, j] * (now[j] - vectors[k, j])
            variances[k, i] = cov[i, i]
            if not known:
                means[k, i] = variances[k, i] = np.nan


@kernel()
def _some(x: FloatArray, begin: int, n: int) -> float:
    """Return the sum of up to 128 numbers from `begin` on, as `_pairwise` does."""
    whole = n - n % 8
    total = -0.0
    if whole:
        a, b, c, d = x[begin], x[begin + 1], x[begin + 2], x[begin + 3]
        e, f, g, h = x[begin + 4], x[begin + 5], x[begin + 6], x[begin + 7]
        for k in range(begin + 8, begin + whole, 8):
            a, b, c, d = a + x[k], b + x[k + 1], c + x[k + 2], d + x[k + 3]
            e, f, g, h = e + x[k + 4], f + x[k + 5], g + x[k + 6], h + x[k + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(begin + whole, begin + n):
        total += x[k]
    return total


@kernel()
def _pairwise(x: FloatArray, n: int) -> float:
    """Return the sum of the first n numbers, added in the order in which numpy's `sum` adds them.

    It halves them until 128 or fewer are left, and goes on in eight sums side by side.
    """
    begins, sizes, lefts = np.zeros(64, np.int64), np.zeros(64, np.int64), np.empty(64)
    second = np.zeros(64, np.int64)  # whether it is the second half that is being added
    sizes[0], depth = n, 0
    while True:
        size = sizes[depth]
        if size > 128:  # go down to the first half
            begins[depth + 1], sizes[depth + 1] = begins[depth], size // 2 - size // 2 % 8
            second[depth] = 0
            depth += 1
            continue
        total = _some(x, begins[depth], size)
        while depth > 0 and second[depth - 1]:
            depth -= 1
            total = lefts[depth] + total
        if depth == 0:
            return total
        lefts[depth - 1], second[depth - 1] = total, 1
        begins[depth] += sizes[depth]
        sizes[depth] = sizes[depth - 1] - sizes[depth]


@kernel("void(f8[::1], f8[::1])")
def moments(x: FloatArray, out: FloatArray) -> None:
    """Write mean and standard deviation of x, shape (n,), n > 1, and the standard deviation of its differences.

    To the last bit what numpy's `mean` and `std` give, for a fifth of what they cost where n is a hundred.
    """
    n = x.size
    away = np.empty(n)
    out[0] = _pairwise(x, n) / n
    for k in range(n):
        away[k] = (x[k] - out[0]) * (x[k] - out[0])
    out[1] = np.sqrt(_pairwise(away, n) / n)
    for k in range(n - 1):
        away[k] = x[k + 1] - x[k]
    mean = _pairwise(away, n - 1) / (n - 1)
    for k in range(n - 1):
        away[k] = (away[k] - mean) * (away[k] - mean)
    out[2] = np.sqrt(_pairwise(away, n - 1) / (n - 1))


@kernel("void(i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], i8, f8[:, :, ::1])")
def features(
    t_ns: Int64Array, reference: FloatArray, indication: FloatArray, from_ns: Int64Array, to_ns: Int64Array,
    fewest: int, out: FloatArray,
) -> None:  # fmt: skip
    """Write level, ln rms and ln pace of both signals over each of k blocks, (k, 2, 3); NaN as in `process.features`.

    Parameters
    ----------
    t_ns : int64, shape (n,), increasing
    reference, indication : float64, shape (n,)
    from_ns, to_ns : int64, shape (k,)
        First and last instants.
    fewest : int
        Samples of which anything is said, more than 1.
    out : float64, shape (k, 2, 3)
    """
    out[:] = np.nan
    for b in range(to_ns.size):
        begin = np.searchsorted(t_ns, from_ns[b], side="left")
        end = np.searchsorted(t_ns, to_ns[b], side="right")
        for s in range(2 if end - begin >= fewest else 0):
            found = out[b, s]
            moments((indication if s else reference)[begin:end], found)
            if 0 < found[1] < np.inf and 0 < found[2] < np.inf:
                found[2] = np.log(found[2] / found[1])
                found[1] = np.log(found[1])
            else:
                found[:] = np.nan
