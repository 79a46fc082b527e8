"""What two results of replays differ in: by sensor and kind, with sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from simulators.replay.effects import AlarmFound, Effects, SetFound, Standing
from simulators.replay.results import corrected, has_corrected, load

_CHUNK: Final = 1_000_000
_IN_DETAIL: Final = frozenset({"sets", "alarms", "health", "corrected"})


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs.

    Attributes
    ----------
    kind : str
        As in `Effects.digests`; ``"settings"`` and ``"span"`` say that unlike was compared.
    sensor : str
        '' where it concerns all.
    what : str
    size : float, optional
        How much: parameters and corrected samples in standard uncertainties of the first result, delays in seconds
        (positive where the second result is later), everything else as counts.
    unit : str
        ``u``, ``s`` or ``1``.
    """

    kind: str
    sensor: str
    what: str
    size: float | None = None
    unit: str = ""


def compare(a: Path, b: Path) -> list[Difference]:
    """Return what differs between two results; nothing where settings and all effects are equal.

    Raises
    ------
    InvalidData
        If one of them is no result.
    """
    first, second = load(a), load(b)
    found = [*_conditions(first, second), *differences(first, second)]
    for sensor in _differing(first, second, "corrected"):
        if has_corrected(a) and has_corrected(b):
            found += _samples(sensor, corrected(a, sensor), corrected(b, sensor))
    return found


def differences(a: Effects, b: Effects) -> Iterator[Difference]:
    """Yield what differs between two records of effects."""
    yield from _sets(a.sets, b.sets)
    yield from _alarms(a, b)
    yield from _standing(a, b)
    for kind in sorted({*a.digests, *b.digests} - _IN_DETAIL):
        for sensor in _differing(a, b, kind):
            yield Difference(kind, sensor, _counts(kind, sensor, a, b))
    yield from _unsaid(a, b)
    n_a, n_b = ({s.sensor: s.n_corrected for s in e.samples} for e in (a, b))
    for sensor in _differing(a, b, "corrected"):
        before, after = n_a.get(sensor, 0), n_b.get(sensor, 0)
        yield Difference("corrected", sensor, f"{before} and {after} corrected samples", float(after - before), "1")


def _unsaid(a: Effects, b: Effects) -> Iterator[Difference]:
    """Yield sensors of which words were sent that differ, though what is compared in detail does not."""
    for kind, said in (
        ("sets", {d.sensor for d in _sets(a.sets, b.sets)}),
        ("alarms", {d.sensor for d in _alarms(a, b)}),
        ("health", {d.sensor for d in _standing(a, b)}),
    ):
        for sensor in _differing(a, b, kind):
            if sensor not in said:
                yield Difference(kind, sensor, "what was sent differs in its bytes")


def _alarms(a: Effects, b: Effects) -> Iterator[Difference]:
    return _happenings(
        "alarms", a.alarms, b.alarms, lambda f: (f.source, f.kind, f.parameter, "holds" if f.holds else "ended")
    )


def _standing(a: Effects, b: Effects) -> Iterator[Difference]:
    return _happenings("health", a.standing, b.standing, lambda s: (s.sensor, s.watch, s.parameter, s.cause))


def _conditions(a: Effects, b: Effects) -> Iterator[Difference]:
    before, after = _flat(a.settings), _flat(b.settings)
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield Difference("settings", "", f"{key}: {before.get(key)} and {after.get(key)}")
    if (a.source, a.from_ns, a.to_ns, a.complete) != (b.source, b.from_ns, b.to_ns, b.complete):
        spans = [f"{e.source} {e.from_ns} to {e.to_ns} ns{'' if e.complete else ', broken off'}" for e in (a, b)]
        yield Difference("span", "", " and ".join(spans))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def _differing(a: Effects, b: Effects, kind: str) -> list[str]:
    before, after = a.digests.get(kind, {}), b.digests.get(kind, {})
    return sorted(sensor for sensor in {*before, *after} if before.get(sensor) != after.get(sensor))


def _sets(a: Sequence[SetFound], b: Sequence[SetFound]) -> Iterator[Difference]:
    before = {(made.sensor, made.sequence): made for made in a}
    after = {(made.sensor, made.sequence): made for made in b}
    for key in sorted({*before, *after}):
        sensor, sequence = key
        one, other = before.get(key), after.get(key)
        if one is None or other is None:
            yield Difference("sets", sensor, f"number {sequence} only in the {'second' if one is None else 'first'}")
        elif one != other:
            yield from _set(one, other)


def _set(one: SetFound, other: SetFound) -> Iterator[Difference]:
    what = f"number {one.sequence}"
    if one.names != other.names or one.form != other.form:
        kinds = [f"a {s.form} of {s.model} ({', '.join(s.names)})" for s in (one, other)]
        yield Difference("sets", one.sensor, f"{what}: {kinds[0]} and {kinds[1]}")
        return
    moved = np.subtract(other.values, one.values)
    if moved.any():
        scaled = np.abs(moved) / np.where(np.array(one.u) > 0, one.u, np.inf)
        at = int(np.argmax(scaled))
        yield Difference("sets", one.sensor, f"{what}: {one.names[at]}", float(scaled[at]), "u")
    if one.at_ns != other.at_ns:
        yield Difference("sets", one.sensor, f"{what}: made at", (other.at_ns - one.at_ns) / 1e9, "s")
    if one.state != other.state:
        yield Difference("sets", one.sensor, f"{what}: {one.state} and {other.state}")
    if not moved.any() and (one.u, one.latency_ns, one.band_hz) != (other.u, other.latency_ns, other.band_hz):
        yield Difference("sets", one.sensor, f"{what}: uncertainty, latency or band")


Happening = TypeVar("Happening", bound=AlarmFound | Standing)


def _happenings(
    kind: str, a: Sequence[Happening], b: Sequence[Happening], key_of: Callable[[Happening], tuple[str, ...]]
) -> Iterator[Difference]:
    """Compare what happened, the k-th of a kind with the k-th."""
    before = _numbered(a, key_of)
    after = _numbered(b, key_of)
    for key in sorted({*before, *after}):
        one, other = before.get(key), after.get(key)
        what = " ".join(part for part in key[0][1:] if part) + (f" ({key[1] + 1})" if key[1] else "")
        if one is None or other is None:
            yield Difference(kind, key[0][0], f"{what}: only in the {'second' if one is None else 'first'}")
        elif one.at_ns != other.at_ns:
            yield Difference(kind, key[0][0], f"{what}: later by", (other.at_ns - one.at_ns) / 1e9, "s")
        elif one != other:
            yield Difference(kind, key[0][0], f"{what}: other words or figures")


def _numbered(
    found: Sequence[Happening], key_of: Callable[[Happening], tuple[str, ...]]
) -> dict[tuple[tuple[str, ...], int], Happening]:
    counts: dict[tuple[str, ...], int] = {}
    numbered: dict[tuple[tuple[str, ...], int], Happening] = {}
    for each in found:
        key = key_of(each)
        numbered[key, counts.get(key, 0)] = each
        counts[key] = counts.get(key, 0) + 1
    return numbered


def _counts(kind: str, sensor: str, a: Effects, b: Effects) -> str:
    def count(effects: Effects) -> str:
        if kind == "stored":
            return str(sum(s.n_raw for s in effects.samples if s.sensor == sensor))
        if kind == "gaps":
            gaps = [g for g in effects.gaps if g.sensor == sensor]
            return f"{len(gaps)} of {sum(g.n_lost or 0 for g in gaps)} samples"
        if kind == "reports":
            return ", ".join(r.outcome for r in effects.reports if r.sensor == sensor) or "none"
        if kind == "states":
            return ", ".join(s.state for s in effects.sets if s.sensor == sensor) or "none"
        return effects.digests.get(kind, {}).get(sensor, "none")

    return f"{count(a)} and {count(b)}"


def _samples(sensor: str, one: npt.NDArray[np.void] | None, other: npt.NDArray[np.void] | None) -> Iterator[Difference]:
    """Compare corrected samples of equal instants; the largest difference in u of the first."""
    if one is None or other is None:
        return
    order = np.argsort(other["t_ns"], kind="stable")
    t_other = other["t_ns"][order]
    worst, at_ns, n_both = 0.0, 0, 0
    for begin in range(0, one.size, _CHUNK):
        part = one[begin : begin + _CHUNK]
        place = np.minimum(np.searchsorted(t_other, part["t_ns"]), max(t_other.size - 1, 0))
        if not t_other.size:
            break
        both = t_other[place] == part["t_ns"]
        mine, yours = part[both], other[order[place[both]]]
        n_both += mine.size
        if mine.size:
            scaled = np.abs(yours["value"] - mine["value"]) / np.maximum(mine["u"], np.finfo(float).tiny)
            k = int(np.argmax(scaled))
            if scaled[k] > worst:
                worst, at_ns = float(scaled[k]), int(mine["t_ns"][k])
    if worst:
        yield Difference("corrected", sensor, f"largest difference, at {at_ns} ns", worst, "u")
    alone = one.size + other.size - 2 * n_both
    if alone:
        yield Difference("corrected", sensor, "instants that only one of them corrects", float(alone), "1")
    if not worst and not alone:
        yield Difference("corrected", sensor, "uncertainties, or the order of samples")
