"""The calibration engine: every decision of the service, without I/O and without a clock."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain import quality
from dyncal.domain.errors import InvalidInput
from dyncal.domain.samples import FloatArray, GapRecord, Record
from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId
from dyncal.domain.time import InstantNs, Int64Array, duration
from dyncal.identification import OnlineEstimator
from dyncal.identification.online.together import share, update_together
from services.calibrate import snapshots, succession
from services.calibrate.alignment import Stream
from services.calibrate.events import (
    Connected,
    Decline,
    EdgeSeen,
    Effect,
    Event,
    Forget,
    Note,
    PairingsChanged,
    PassedOver,
    Proceed,
    PutHolding,
    RecordArrived,
    Refused,
    Release,
    ResidualsFound,
    Restore,
    SaveSnapshot,
    SeriesRead,
    SetReported,
    Stopping,
    Tick,
)
from services.calibrate.settings import CalibrateSection
from services.calibrate.stages import Stage, stage
from services.calibrate.tracker import Tracker

_HUGE: Final = 1e100
_FULL: Final = 0.5  # share of a buffer above which samples are not held any longer,
_LONG_NS: Final = duration(2.0)  # nor beyond this time of data,
_MANY: Final = 64  # unless they are fewer: candidates are to be judged on what comes soon after their fit


class CalibrateEngine:
    """Follows all pairings. `handle` is to be called from one thread at a time."""

    def __init__(self, rules: CalibrateSection) -> None:
        self._rules = rules
        self._sensors: dict[SensorId, Sensor] = {}
        self._trackers: dict[SensorId, Tracker] = {}
        self._followers: dict[SensorId, list[Tracker]] = {}
        self._offline: set[EdgeId] = set()
        self._held: dict[SensorId, None] = {}  # in the order of their first samples
        self._due: dict[SensorId, bool] = {}  # of these, which take in no more before that; whether they were stepped
        self._stepped = False  # whether all that are held were
        self._tick_ns: int | None = None
        self._turns = 0.0  # how many trackers' turn it is to be saved
        self._saved_last = ""
        self._studied = 0  # whose turn it is to be foretold

    @property
    def trackers(self) -> dict[SensorId, Tracker]:
        """The trackers, by sensor."""
        return self._trackers

    @property
    def holds(self) -> bool:
        """Whether samples are held that `Proceed` is to deal with."""
        return bool(self._held)

    def resumed_at(self) -> dict[SensorId, int]:
        """Return the instants up to which sensors had been followed by the snapshots that they began with."""
        return {s: t.resumed_ns for s, t in self._trackers.items() if t.resumed_ns is not None}

    def handle(self, event: Event) -> list[Effect]:
        """Take in what happened; return what is to be done, in order."""
        return list(self._handle(event))

    def _handle(self, event: Event) -> Iterator[Effect]:
        match event:
            case RecordArrived() | SeriesRead():
                yield from self._arrived(event)
            case Proceed():
                yield from self._proceed(event.now_ns)
            case PairingsChanged():
                yield from self._pairings(event)
            case SetReported():
                yield from self._reported(event)
            case ResidualsFound():
                yield from self._residuals(event)
            case Release() | Decline() | Restore():
                yield from self._ordered(event)
            case EdgeSeen() | PassedOver() | Forget():
                self._note(event)
            case Connected():
                yield from self._repeat(event.now_ns)
            case Tick():
                yield from self._tick(event.now_ns)
            case Stopping():
                yield from self._snapshots(list(self._trackers.values()), event.now_ns)
            case _:
                assert_never(event)

    def _arrived(self, event: RecordArrived | SeriesRead) -> Iterator[Effect]:
        if isinstance(event, RecordArrived):
            yield from self._record(event.record, event.now_ns, held=event.held)
        else:
            yield from self._samples(event.sensor, event.t_ns, event.raw, event.quality, event.now_ns, held=event.held)

    def _proceed(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Deal with what is held of one sensor; before the first, step the estimators of all together."""
        if self._held and not self._stepped:
            self._stepped = True  # first: should that fail, each sensor is dealt with by itself
            self._step(list(self._held))
        for sensor in list(self._held)[:1]:
            yield from self._release(sensor, now_ns)

    def _release(self, sensor: SensorId, now_ns: InstantNs) -> Iterator[Effect]:
        """Deal with what is held of a sensor."""
        del self._held[sensor]
        self._due.pop(sensor, None)
        self._stepped &= bool(self._held)
        if sensor in self._trackers:
            yield from self._trackers[sensor].advance(now_ns)

    def _step(self, sensors: Sequence[SensorId]) -> None:
        """Step the estimators of sensors together, where there are several: the same results for less work."""
        trackers = [self._trackers[s] for s in sensors if s in self._trackers] if len(sensors) > 1 else []
        chunks = [(tracker, chunk) for tracker in trackers if (chunk := tracker.chunk()) is not None]
        with stage(Stage.FIT):
            together = update_together([chunk for _, chunk in chunks])
        for (tracker, _), found in zip(chunks, together, strict=True):
            tracker.identified(found)

    def _record(self, record: Record, now_ns: InstantNs, *, held: bool) -> Iterator[Effect]:
        declared = self._sensors.get(record.sensor)
        if declared is None:
            yield Note("unknown_sensor", "", record.sensor)
            return
        if declared.edge != record.edge:
            yield Note("foreign_edge", record.sensor, f"sent by {record.edge}, belongs to {declared.edge}")
            return
        if isinstance(record, GapRecord):
            yield Note("gap", record.sensor, record.gap.cause)
            return
        codes = None if quality.all_good(record.quality) else quality.expand(record.quality)
        yield from self._samples(record.sensor, record.axis.t_ns, record.raw, codes, now_ns, held=held)

    def _samples(
        self,
        sensor: SensorId,
        t_ns: Int64Array,
        raw: FloatArray,
        codes: npt.NDArray[np.uint32] | None,
        now_ns: InstantNs,
        *,
        held: bool,
    ) -> Iterator[Effect]:
        if t_ns.size and t_ns[-1] > now_ns + duration(self._rules.max_ahead_s):
            yield Note("from_the_future", sensor, f"{(int(t_ns[-1]) - now_ns) / 1e9:.0f} s ahead")
            return
        usable = np.abs(raw) < _HUGE  # false for NaN too
        if codes is not None:
            usable &= quality.is_good(codes)
        if not bool(usable.all()):
            yield Note("unusable_samples", sensor, str(int(np.count_nonzero(~usable))))
            t_ns, raw = t_ns[usable], raw[usable]
        if t_ns.size == 0:
            return
        if sensor in self._trackers:
            tracker = self._trackers[sensor]
            yield from self._before_more(tracker, now_ns)
            tracker.sensor_samples(t_ns, raw, now_ns)
            yield from self._taken(tracker, tracker.aligner.sensor, now_ns, held=held)
        for tracker in self._followers.get(sensor, ()):
            yield from self._before_more(tracker, now_ns)
            tracker.reference_samples(t_ns, raw, now_ns)
            yield from self._taken(tracker, tracker.aligner.reference, now_ns, held=held)

    def _taken(self, tracker: Tracker, stream: Stream, now_ns: InstantNs, *, held: bool) -> Iterator[Effect]:
        """Deal with samples that were taken into a stream, or hold them while there is room."""
        few = stream.t_ns.size < _MANY or stream.span_ns < _LONG_NS
        if not held:
            yield from tracker.advance(now_ns)
        elif few and stream.filled < _FULL:
            self._held.setdefault(tracker.sensor.id)
        elif tracker.aligner.has_pairs:
            self._held.setdefault(tracker.sensor.id)
            self._due[tracker.sensor.id] = False

    def _before_more(self, tracker: Tracker, now_ns: InstantNs) -> Iterator[Effect]:
        """Deal with what is held of a sensor where that is so much that no more is to be taken in with it."""
        sensor = tracker.sensor.id
        if sensor in self._due:
            waiting = [s for s, stepped in self._due.items() if not stepped]
            self._due.update(dict.fromkeys(waiting, True))
            self._step(waiting)
            yield from self._release(sensor, now_ns)

    def _pairings(self, event: PairingsChanged) -> Iterator[Effect]:
        self._sensors = {s.id: s for s in event.sensors}
        wanted = {p.sensor: p for p in event.pairings}
        for gone in sorted(set(self._trackers) - set(wanted)):
            yield from succession.given_up(self._trackers.pop(gone), event.now_ns)
            yield Note("unpaired", gone)
        for pairing in wanted.values():
            yield from self._pair(pairing, event)
        for sensor, tracker in self._trackers.items():
            yield from tracker.govern(event.policies.get(sensor), event.now_ns)
        share(t.estimator for t in self._trackers.values() if isinstance(t.estimator, OnlineEstimator))
        self._followers = {}
        for tracker in self._trackers.values():
            self._followers.setdefault(tracker.pairing.reference, []).append(tracker)

    def _pair(self, pairing: Pairing, event: PairingsChanged) -> Iterator[Effect]:
        sensor, reference = self._sensors.get(pairing.sensor), self._sensors.get(pairing.reference)
        if sensor is None:
            before = self._trackers.pop(pairing.sensor, None)
            if before is not None:
                yield from succession.given_up(before, event.now_ns)
            yield Note("pairing_without_sensor", pairing.sensor)
            return
        present = self._trackers.get(sensor.id)
        if present is not None and succession.same(present, sensor, reference, pairing):
            present.adapt(pairing)
            return
        known = event.known.get(sensor.id) or succession.carried(present)
        tracker = Tracker(sensor, reference, pairing, self._rules, known, event.now_ns)
        self._trackers[sensor.id] = tracker
        if present is not None:
            yield from succession.moved(present, tracker)
        if known.snapshot is not None:
            try:
                snapshots.put_back(tracker, known.snapshot)
            except InvalidInput as error:
                yield Note("snapshot_refused", sensor.id, str(error))

    def _reported(self, event: SetReported) -> Iterator[Effect]:
        tracker = self._trackers.get(event.report.sensor)
        if tracker is None:
            yield Note("report_of_unknown_sensor", "", event.report.sensor)
        elif EdgeAddress(tracker.sensor.site, tracker.sensor.edge) != event.address:
            yield Note("foreign_report", tracker.sensor.id, f"from {event.address.site}/{event.address.edge}")
        else:
            yield from tracker.reported(event.report, event.running, event.now_ns)

    def _residuals(self, event: ResidualsFound) -> Iterator[Effect]:
        for found in event.found:
            tracker = self._trackers.get(found.sensor)
            if tracker is None or EdgeAddress(tracker.sensor.site, tracker.sensor.edge) != event.address:
                yield Note("foreign_residual", "", found.sensor)
            else:
                yield from tracker.releases.found(found, event.now_ns)

    def _ordered(self, event: Release | Decline | Restore) -> Iterator[Effect]:
        tracker = self._trackers.get(event.sensor)
        if tracker is None:
            of = event.to.id if isinstance(event, Restore) else event.set_id
            yield Refused(event.order, event.sensor, of, f"sensor {event.sensor} is not calibrated: it has no pairing")
            return
        tracker.changed = True
        releases = tracker.releases
        match event:
            case Release():
                yield from releases.release(event.set_id, event.act, event.order)
            case Decline():
                tracker.adjuster.put_off(event.act.at_ns)
                yield from releases.decline(event.set_id, event.act, event.order)
            case Restore():
                yield from releases.restore(event.to, event.act, event.order, event.instead_of)

    def _note(self, event: EdgeSeen | PassedOver | Forget) -> None:
        """Take in what calls for nothing now."""
        match event:
            case EdgeSeen():
                (self._offline.discard if event.online else self._offline.add)(event.edge)
            case PassedOver():
                for tracker in self._trackers.values():
                    tracker.excuse(event.now_ns)
            case Forget():
                self._trackers.pop(event.sensor, None)

    def _repeat(self, now_ns: InstantNs) -> Iterator[Effect]:
        for tracker in self._trackers.values():
            yield from tracker.connected(now_ns)
        holding = tuple(c.id for tracker in self._trackers.values() for c in tracker.board.holding())
        yield PutHolding(holding, now_ns)

    def _tick(self, now_ns: InstantNs) -> Iterator[Effect]:
        for tracker in self._trackers.values():
            edge = None if tracker.reference is None else tracker.reference.edge
            yield from tracker.tick(now_ns, reference_online=edge not in self._offline)
            if tracker.contradiction.stands_ns is not None:
                yield from tracker.contradicted(self._beside(tracker), now_ns)
        yield from self._study(now_ns)
        yield from self._snapshots(self._in_turn(now_ns), now_ns)

    def _study(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Find out what one sensor's drift is due to, or when one leaves its tolerance: it costs tenths of a second."""
        for tracker in self._trackers.values():
            others = [other.causes for other in self._beside(tracker)]
            above = self._trackers.get(tracker.pairing.reference)
            if tracker.causes.wants_asking(drifts=tracker.drifts, alone=not others and above is None):
                wrong = tracker.causes.ask(others, None if above is None else above.causes)
                if wrong:
                    yield Note("cause_not_found", tracker.sensor.id, wrong)
                yield from tracker.cause_found()
                return
        names = list(self._trackers)
        for k in range(len(names)):
            name = names[(self._studied + k) % len(names)]
            tracker = self._trackers[name]
            if tracker.baseline is not None and tracker.causes.wants_foretelling(now_ns):
                self._studied = (self._studied + k + 1) % len(names)
                wrong = tracker.causes.foretell(tracker.baseline, tracker.pairing.tolerance, now_ns)
                if wrong:
                    yield Note("not_foretold", name, wrong)
                return

    def _beside(self, tracker: Tracker) -> list[Tracker]:
        """Return the other trackers of the same reference."""
        return [other for other in self._followers.get(tracker.pairing.reference, ()) if other is not tracker]

    def _in_turn(self, now_ns: InstantNs) -> list[Tracker]:
        """Return the trackers to be saved now: each once in `snapshot_s`, one after the other and not all at once."""
        since_ns = 0 if self._tick_ns is None else max(now_ns - self._tick_ns, 0)
        self._tick_ns = now_ns
        names = sorted(self._trackers)
        self._turns = min(self._turns + len(names) * since_ns / duration(self._rules.snapshot_s), len(names))
        first, n = bisect.bisect_right(names, self._saved_last), int(self._turns)
        chosen = [names[(first + k) % len(names)] for k in range(n)]
        self._turns -= n
        self._saved_last = chosen[-1] if chosen else self._saved_last
        return [self._trackers[name] for name in chosen]

    def _snapshots(self, trackers: Iterable[Tracker], now_ns: InstantNs) -> Iterator[Effect]:
        for tracker in trackers:
            content = snapshots.take(tracker) if tracker.changed else None
            if content is not None:
                tracker.changed = False
                yield SaveSnapshot(snapshots.key_of(tracker.sensor.id), content, now_ns)
