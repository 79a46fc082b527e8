"""What has changed: the sensor, its reference, or only the process; posterior probabilities, and an answer with a bar.

A pair tells the ratio of two instruments. That the sensor has changed, shows in its own pair alone; that the reference
has, in all pairs with it, in the same sense: by -Δln g in every gain and by -ΔT in every lag (the reference's lag is
taken off that of the sensor: ∂ln H/∂T = -s for both, at first). What the process does goes with what reference and
indication say of it (`dyncal.drift.process`), also in the past: where the process moved before and the parameters did
not, it is no explanation. The likelihood of each is averaged over every instant of change and over steps, lines and
courses of any shape (`dyncal.drift.bends`), so that a coincidence costs what it is worth (docs/metrology.md; Kass &
Raftery, J. Am. Stat. Assoc. 90 (1995) 773).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.health import Attribution, Cause
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.bends import KNOTS, Bends, begins
from dyncal.drift.evidence import Evidence, Quadratics, evidence, scatter
from dyncal.drift.ledger import BlockLedger
from dyncal.drift.process import effects

ENOUGH: Final = 0.95
"""Posterior probability with which an answer is given."""
FEWEST: Final = 12
"""Blocks below which a pair is not asked."""

_EXPECTED: Final = 0.1  # relative standard deviation of a change, before anything is known
_SLACKS: Final = (0.005, 0.03)  # by how much a pair may answer a reference of another gain, of another lag, otherwise
_MOST: Final = 8  # neighbours that are asked
_BENT: Final = 1 / 3  # prior weight of a course of any shape, beside steps and lines
_OTHERWISE: Final = 0.1  # prior weight of a neighbour's having changed for itself
_UNSEEN: Final = 0.1  # prior weight of a process that changes pairs together, and nothing else that can be seen


def settled(found: Attribution | None, *, alone: bool) -> bool:
    """Tell whether an answer is as definite as it can be; a pair `alone` cannot tell sensor from reference."""
    if found is None or found.cause is Cause.CANNOT_TELL:
        return False
    return alone or found.cause is not Cause.SENSOR_OR_REFERENCE


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One pair: its blocks, the present size of its parameters (p,), and how a lag and a gain show in them.

    `common` (p, 2): by how much the parameters change where the logarithm of the *sensor's* gain, and its lag in
    seconds, grow by one (`common_of`).
    """

    ledger: BlockLedger
    size: FloatArray
    common: FloatArray


def common_of(names: Sequence[str], values: FloatArray) -> FloatArray:
    """Return by how much parameters change for a change of ln gain and of the lag at low frequencies, (p, 2).

    A lag goes into a dead time where there is one, else into the slowest time constant or the damping.

    Raises
    ------
    InvalidData
        If names and values are not as many.
    """
    known = dict(zip(names, values.tolist(), strict=True)) if len(names) == values.size else None
    if known is None:
        raise InvalidData(f"{len(names)} names for {values.size} values")
    common = np.zeros((len(names), 2))
    lag, per_second = "", 1.0
    if "delay_s" in known:
        lag = "delay_s"
    elif "damping" in known:
        lag, per_second = "damping", math.pi * known.get("f0_hz", 0.0)
    else:
        taus = [name for name in names if name.startswith("tau") and name != "tauz_s"]
        lag = max(taus, key=lambda name: known[name], default="")
    for i, name in enumerate(names):
        if name == "gain":
            common[i, 0] = known[name]
        elif name == lag:
            common[i, 1] = per_second
    return common


def attribute(pair: Pair, neighbours: Sequence[Pair] = (), above: Pair | None = None) -> Attribution | None:
    """Say what has changed in a pair; None where its blocks are too few.

    Parameters
    ----------
    pair : Pair
        The one in question.
    neighbours : sequence of Pair
        Others with the same reference; those of too few blocks are left out.
    above : Pair, optional
        The reference itself as a sensor, with a second reference.
    """
    if len(pair.ledger) < FEWEST:
        return None
    known = [other for other in neighbours if len(other.ledger) >= FEWEST][:_MOST]
    beside_it = [pair.ledger, *(other.ledger for other in known)]
    at_ns = pair.ledger.at_ns
    own, *others = (_Told.by(each, beside_it, at_ns) for each in (pair, *known))
    second = _Told.by(above, [above.ledger], at_ns) if above is not None and len(above.ledger) >= FEWEST else None
    beside = sum(other.whatever for other in others) + (0.0 if second is None else second.whatever)
    process = own.found.process + beside
    alone = not others and second is None
    unseen = own.changed + math.log(_UNSEEN / 2) if alone else _together(own, others, second)
    told = {
        "nothing": beside,
        "process": _mix((1.0, process), (1.0, unseen)) if own.process_moved else unseen,
        "sensor": own.changed + beside,
        "reference": _reference(own, others, second),
    }
    shares = _posterior(told)
    return Attribution(_answer(shares, alone=alone), **shares)


def _posterior(told: dict[str, float]) -> dict[str, float]:
    top = max(told.values())
    weights = {name: math.exp(value - top) for name, value in told.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _answer(shares: dict[str, float], *, alone: bool) -> Cause:
    if not alone:
        for cause in (Cause.SENSOR, Cause.REFERENCE):
            if shares[cause] >= ENOUGH:
                return cause
    if shares["process"] >= ENOUGH:
        return Cause.PROCESS
    if shares["sensor"] + shares["reference"] >= ENOUGH:
        return Cause.SENSOR_OR_REFERENCE
    return Cause.CANNOT_TELL


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What a pair's blocks say: of steps and lines from instants of its own, of bends from those that all share."""

    pair: Pair
    expected: FloatArray
    found: Evidence
    bent: Evidence
    process_moved: bool
    by_instant: FloatArray
    by_bend: FloatArray

    @classmethod
    def by(cls, pair: Pair, beside: Sequence[BlockLedger], at_ns: Int64Array) -> _Told:
        ledger = pair.ledger
        expected = _EXPECTED * np.maximum(np.abs(pair.size), 1e-300)
        excess = scatter(ledger.information, ledger.vectors)
        information, vectors = ledger.information / excess, ledger.vectors / excess
        phi, between = effects(_seen(ledger, beside), information, vectors)
        information[between], vectors[between] = 0.0, 0.0
        bends = Bends(ledger.at_ns, begins(at_ns), int(at_ns[-1]))
        found, bent = (
            evidence(ledger.at_ns, information, vectors, phi, expected, sums) for sums in (None, bends.sums)
        )  # fmt: skip
        return cls(pair, expected, found, bent, bool(np.any(phi)), found.change(), bent.change())

    @property
    def changed(self) -> float:
        return _either(self.by_instant, self.by_bend)

    @property
    def whatever(self) -> float:
        """What its blocks are worth where the reference has not changed, whatever else has."""
        half = (1 - _OTHERWISE) / 2
        return _mix((half, self.found.process), (half, 0.0), (_OTHERWISE, self.changed))

    def common(self, at_ns: Int64Array, way: FloatArray, slack: float) -> tuple[Quadratics, FloatArray]:
        """Return what it says at instants (n,) of a change (q,) that shows in its parameters by `way` (p, q)."""
        k = self.nearest(at_ns)
        quadratics, factor = self.found.best()
        told, more = _along(Quadratics(quadratics.a[k], quadratics.h[k]), way / self.expected[:, None], slack)
        return told, factor + more

    def commonly_bent(self, way: FloatArray, slack: float) -> tuple[Quadratics, FloatArray]:
        """Return the same of a course that has such a change (q,) for each of its knots."""
        quadratics, factor = self.bent.best()
        at_each = np.asarray(np.kron(np.eye(len(KNOTS)), way / self.expected[:, None]), dtype=np.float64)
        told, more = _along(quadratics, at_each, slack)
        return told, factor + more

    def about(self, at_ns: Int64Array) -> FloatArray:
        """Return its likelihood ratios of a change about instants (n,): blocks of pairs do not end together."""
        padded = np.concatenate((self.by_instant[:1], self.by_instant, self.by_instant[-1:]))
        near = np.logaddexp(np.logaddexp(padded[:-2], padded[1:-1]), padded[2:]) - math.log(3)
        return np.asarray(near[self.nearest(at_ns)])

    def nearest(self, at_ns: Int64Array) -> Int64Array:
        """Return the numbers of its own instants that are next to others."""
        return np.minimum(np.searchsorted(self.found.at_ns, at_ns), len(self.found.at_ns) - 1)


def _along(told: Quadratics, way: FloatArray, slack: float) -> tuple[Quadratics, FloatArray]:
    loose, factor = told.loosened(np.eye(len(way)) * (slack / _EXPECTED) ** 2)
    return Quadratics(way.T @ loose.a @ way, loose.h @ way), factor


def _seen(ledger: BlockLedger, beside: Sequence[BlockLedger]) -> FloatArray:
    """Return the features of the reference, and of all indications beside it at about the same time, (n, 1 + m, 3)."""
    found = [ledger.features[:, 0]]
    for other in beside:
        middle = (other.at_ns[1:] + other.at_ns[:-1]) // 2
        found.append(other.features[np.searchsorted(middle, ledger.at_ns), 1])
    return np.stack(found, axis=1)


def _together(own: _Told, others: Sequence[_Told], second: _Told | None) -> float:
    """Return the logarithm of the likelihood that the process changes all pairs at one instant, and is seen by nothing.

    Each changes in its own way, or all lags in the same proportion.
    """
    value, bent = own.by_instant, own.by_bend
    for other in (*others, *(() if second is None else (second,))):
        value, bent = value + other.about(own.found.at_ns), bent + other.by_bend
    ways = [np.where(told.pair.common[:, 1:] != 0, told.pair.size[:, None], 0.0) for told in (own, *others)]
    in_proportion = _common(own, others, second, ways, np.array([_EXPECTED]), _SLACKS[1])
    return _mix((_UNSEEN, _either(value, bent)), (0.5, in_proportion))


def _reference(own: _Told, others: Sequence[_Told], second: _Told | None) -> float:
    """Return the logarithm of the likelihood of a change of the reference, of its gain or of its lag too."""
    ways = [-told.pair.common for told in (own, *others)]
    lag = own.pair.common[:, 1]
    most = np.abs(own.pair.size[lag != 0] / lag[lag != 0])
    scale = _EXPECTED * np.array([1.0, float(most[0]) if most.size else 1.0])
    gains = _common(own, others, second, [way[:, :1] for way in ways], scale[:1], _SLACKS[0])
    return _mix((0.5, gains), (0.5, _common(own, others, second, ways, scale, _SLACKS[1])))


def _common(
    own: _Told,
    others: Sequence[_Told],
    second: _Told | None,
    ways: Sequence[FloatArray],
    scale: FloatArray,
    slack: float,
) -> float:
    """Return the logarithm of the likelihood of a change that all pairs share, over that of nothing."""
    at_ns, all_of_them = own.found.at_ns, tuple(zip((own, *others), ways, strict=True))
    value = _joint([told.common(at_ns, way * scale, slack) for told, way in all_of_them])
    bent = _joint([told.commonly_bent(way * scale, slack) for told, way in all_of_them])
    if second is not None:
        value, bent = value + second.about(at_ns), bent + second.by_bend
    return _either(value, bent)


def _joint(told: Sequence[tuple[Quadratics, FloatArray]]) -> FloatArray:
    """Return the log-likelihood ratios of what all of them have in common."""
    a, h = sum(each.a for each, _ in told), sum(each.h for each, _ in told)
    return np.asarray(Quadratics(np.asarray(a), np.asarray(h)).marginal() + sum(factor for _, factor in told))


def _either(straight: FloatArray, bent: FloatArray) -> float:
    """Return the logarithm of the likelihood of a change by a step or a line, or by a course of any shape."""
    return _mix((1 - _BENT, _mean(straight)), (_BENT, _mean(bent)))


def _mean(logarithms: FloatArray) -> float:
    top = float(logarithms.max())
    return top + math.log(float(np.mean(np.exp(logarithms - top))))


def _mix(*parts: tuple[float, float]) -> float:
    top = max(value for _, value in parts)
    return top + math.log(sum(weight * math.exp(value - top) for weight, value in parts))
