"""Taking down what a replay brings about, as messages pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from dyncal.contracts import coefficients, conditions, health
from dyncal.domain.coefficients import CorrectionFilter
from dyncal.domain.health import SensorHealth
from dyncal.domain.time import InstantNs
from dyncal.ports.records import SetRecord
from edge_agent.events import Notice
from simulators.replay.effects import (
    AlarmFound,
    Effects,
    GapFound,
    Noticed,
    Reported,
    SamplesFound,
    SetFound,
    Standing,
)
from simulators.replay.stores import DIGEST_BYTES, DigestStore, new_hash
from simulators.replay.wires import Wire, place

_KINDS: Final = ("sets", "reports", "alarms", "health", "residuals")


class Recorder:
    """Takes messages that programs have published, in order."""

    def __init__(self) -> None:
        self._hashes: dict[str, dict[str, hashlib.blake2b]] = {kind: {} for kind in _KINDS}
        self._reports: list[Reported] = []
        self._alarms: list[AlarmFound] = []
        self._standing: list[Standing] = []
        self._last: dict[str, tuple[object, ...]] = {}

    def of_calibration(self, messages: Iterable[Wire]) -> None:
        """Take what calibration has published."""
        for message in messages:
            match message.topic.split("/")[3:]:
                case [_, "coefficients", sensor, _] | ["coefficients", sensor, _]:
                    self._add("sets", sensor, message)
                case ["conditions", source, _]:
                    self._add("alarms", source, message)
                    self._condition(message)
                case ["sensors", sensor, "health"] if message.payload:
                    self._add("health", sensor, message)
                    self._health(health.decode(message.payload))

    def of_edges(self, messages: Iterable[Wire]) -> None:
        """Take what edges have published, beside samples."""
        for message in messages:
            at = place(message.topic)
            if at.kind == "reported" and at.sensor is not None:
                self._add("reports", at.sensor, message)
                said = coefficients.decode_report(message.payload)
                self._reports.append(Reported(said.sensor, said.set_id, said.outcome.value, said.at_ns, said.reason))
            elif at.kind == "residuals":
                self._add("residuals", at.address.edge, message)

    def _add(self, kind: str, sensor: str, message: Wire) -> None:
        found = self._hashes[kind].get(sensor)
        if found is None:
            found = self._hashes[kind][sensor] = new_hash()
        what = message.topic.rpartition("/")[2].encode()
        found.update(b"%d:%d:" % (len(what), len(message.payload)) + what + message.payload)

    def _condition(self, message: Wire) -> None:
        c, _ = conditions.decode(message.topic, message.payload)
        found = AlarmFound(c.source, c.kind.value, c.holds, c.at_ns, c.parameter, c.value, c.u, c.limit, c.cause)
        self._alarms.append(found)

    def _health(self, said: SensorHealth) -> None:
        """Take down how a sensor stands, where that is other than it was."""
        cause = "" if said.attribution is None else said.attribution.cause.value
        essence = (said.watch, said.reason, said.parameter, cause)
        if self._last.get(said.sensor) == essence:
            return
        self._last[said.sensor] = essence
        self._standing.append(
            Standing(
                said.sensor,
                said.at_ns,
                said.watch.value,
                said.reason,
                said.parameter,
                said.change,
                said.u_change,
                cause,
            )
        )

    def effects(
        self,
        *,
        source: str,
        from_ns: InstantNs,
        to_ns: InstantNs,
        complete: bool,
        settings: Mapping[str, object],
        sets: Iterable[SetRecord],
        notices: Iterable[Notice],
        store: DigestStore,
        n_quarantined: int,
    ) -> Effects:
        """Return the record."""
        gaps = tuple(
            GapFound(sensor, gap.after_ns, gap.before_ns, gap.cause.value, gap.n_lost)
            for sensor, kept in sorted(store.kept.items())
            for gap in kept.gaps
        )
        found = tuple(
            _set(record) for record in sorted(sets, key=lambda r: (r.coefficients.sensor, r.coefficients.sequence))
        )
        digests = {kind: {s: h.hexdigest() for s, h in sorted(of.items())} for kind, of in self._hashes.items()}
        digests["gaps"] = {
            sensor: _digest(msgspec.json.encode([g for g in gaps if g.sensor == sensor]))
            for sensor in sorted({g.sensor for g in gaps})
        }
        digests["states"] = {
            sensor: _digest(msgspec.json.encode([(s.id, s.state) for s in found if s.sensor == sensor]))
            for sensor in sorted({s.sensor for s in found})
        }
        digests["stored"] = {sensor: kept.stored() for sensor, kept in sorted(store.kept.items())}
        digests["corrected"] = {s: kept.corrected() for s, kept in sorted(store.kept.items()) if kept.value.n}
        return Effects(
            source=source,
            from_ns=from_ns,
            to_ns=to_ns,
            complete=complete,
            settings=dict(settings),
            sets=found,
            reports=tuple(self._reports),
            alarms=tuple(self._alarms),
            standing=tuple(self._standing),
            gaps=gaps,
            notices=tuple(Noticed(n.sensor or "", n.kind.value, n.at_ns, n.detail) for n in notices),
            samples=tuple(
                SamplesFound(sensor, kept.raw.n, kept.value.n, kept.first_ns, kept.last_ns)
                for sensor, kept in sorted(store.kept.items())
            ),
            n_quarantined=n_quarantined,
            digests=digests,
            digest=_digest(msgspec.json.encode(digests, order="deterministic")),
        )


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def _set(record: SetRecord) -> SetFound:
    made = record.coefficients
    p = made.parameters
    return SetFound(
        sensor=made.sensor,
        id=made.id,
        sequence=made.sequence,
        state=record.state.value,
        at_ns=made.valid_from_ns,
        model=p.model.value,
        names=tuple(p.names),
        values=tuple(p.values.tolist()),
        u=tuple(p.u.tolist()),
        form="filter" if isinstance(made.correction, CorrectionFilter) else "smoother",
        latency_ns=made.correction.latency_ns,
        band_hz=made.correction.band_hz,
        note=made.note,
    )
