"""One sensor with its reference: aligned, identified, adjusted, watched; samples and instants in, effects out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.calibration import baseline_id
from dyncal.domain.coefficients import CoefficientSet, Outcome, Report, SetState
from dyncal.domain.health import Cause, ParameterConformity, SensorHealth, Watch
from dyncal.domain.lifecycle import ReleasePolicy
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import DEFAULT_TOLERANCE, Pairing, Sensor
from dyncal.domain.time import NS_PER_S, InstantNs, Int64Array, duration, seconds
from dyncal.drift.following import Blocks
from dyncal.drift.monitor import DriftMonitor, DriftState, DriftStatus
from dyncal.drift.settings import DriftSettings
from dyncal.identification import OnlineEstimator
from dyncal.identification.online.fleet.faults import FAULTS
from dyncal.identification.online.together import Chunk
from dyncal.identification.records import BlockOutcome, Estimate
from dyncal.identification.series import BlockSeries
from dyncal.models import paired_model
from dyncal.ports.records import Act
from services.calibrate import findings, tolerance
from services.calibrate.adjuster import Adjuster, calibration_of
from services.calibrate.alignment import Aligned, Aligner
from services.calibrate.board import ConditionBoard
from services.calibrate.causes import Causes
from services.calibrate.contradiction import Contradiction, whose
from services.calibrate.estimators import estimator_of
from services.calibrate.events import ACTOR, AddCalibration, Effect, Governed, Known, MoveSet, Note, SendDesired
from services.calibrate.health import HealthDesk, number
from services.calibrate.releases import Releases
from services.calibrate.settings import CalibrateSection
from services.calibrate.stages import Stage, stage

_BUFFER_S: Final = 20.0
_BUFFER_SAMPLES: Final = (1024, 131_072)


class Tracker:
    """Follows one pairing; bounded memory."""

    def __init__(
        self,
        sensor: Sensor,
        reference: Sensor | None,
        pairing: Pairing,
        rules: CalibrateSection,
        known: Known,
        now_ns: InstantNs,
    ) -> None:
        names = paired_model(pairing).names
        self.sensor, self.reference, self.pairing, self.rules = sensor, reference, pairing, rules
        self.releases = Releases(sensor, rules, known.last_sequence)
        self.releases.policy, self.releases.anchor = known.policy or self.releases.policy, known.anchor
        self.releases.start(known.desired, known.waiting, known.waiting_since_ns, known.waiting_why, now_ns)
        self.adjuster = Adjuster(sensor, pairing, rules, self.releases)
        self.board = ConditionBoard(known.conditions)
        self.desk = HealthDesk(sensor, duration(rules.health_s))
        self.aligner = Aligner(
            sensor.dt_ns,
            None if reference is None else reference.dt_ns,
            duration(max(rules.patience_s, 4 * seconds(sensor.dt_ns))),
            _capacity(sensor.dt_ns),
            _BUFFER_SAMPLES[1] if reference is None else _capacity(reference.dt_ns),
        )
        self.estimator = estimator_of(pairing, sensor.dt_ns)
        least = tuple((name, rules.drift_share * pairing.tolerance.get(name, DEFAULT_TOLERANCE)) for name in names)
        watched = DriftSettings(rules.arl0_blocks, minimum_changes=least, idle_after_s=rules.idle_after_s)
        self.monitor = DriftMonitor(names, watched)
        self.causes = Causes(names)
        self.contradiction = Contradiction()
        self.baseline: tolerance.Baseline | None = None
        self.block: BlockOutcome | None = None
        self.drift: DriftStatus | None = None
        self.conformity: tuple[ParameterConformity, ...] = ()
        self._begun_ns = now_ns
        self.changed = False
        self.resumed_ns: int | None = None
        self._fresh = False
        self._estimate: Estimate | None = None  # as it stood after `block`
        self._cut = True
        self._runs: list[Aligned] = []
        self._identified: Sequence[BlockOutcome] | Exception | None = None  # of the first of them, if that is known
        self._sensor_seen_ns: int = now_ns
        self._pair_seen_ns: int = now_ns
        self._reference_seen_ns: int = now_ns

    def adapt(self, pairing: Pairing) -> None:
        """Take over what a changed pairing wishes of the result; sensor, reference, model and u stay the same."""
        self.pairing = self.adjuster.pairing = pairing

    def govern(self, governed: Governed | None, now_ns: InstantNs) -> Iterator[Effect]:
        """Take over who releases this sensor's sets; None: nobody has said anything about it."""
        if governed is None:
            yield from self.releases.govern(ReleasePolicy(self.rules.release), self.releases.anchor, now_ns)
        else:
            yield from self.releases.govern(governed.policy, governed.anchor, now_ns)

    def resume_after(self, instant_ns: int) -> None:
        """Go on after what was taken in before a restart."""
        self.aligner.start_after(instant_ns)
        self.resumed_ns = instant_ns
        self._cut = True

    def sensor_samples(self, t_ns: Int64Array, value: FloatArray, now_ns: InstantNs) -> None:
        """Take in usable samples of the sensor, for `advance`."""
        self._sensor_seen_ns = now_ns
        self.aligner.sensor.add(t_ns, value)

    def reference_samples(self, t_ns: Int64Array, value: FloatArray, now_ns: InstantNs) -> None:
        """Take in usable samples of the reference, for `advance`."""
        self._reference_seen_ns = now_ns
        self.aligner.reference.add(t_ns, value)

    def chunk(self) -> Chunk | None:
        """Return what comes next for an estimator that can be stepped with others; None where there is nothing.

        Its blocks are for `identified`; then `advance` is to be called, before more samples are taken in.
        """
        if self._runs or not isinstance(self.estimator, OnlineEstimator):
            return None
        self._runs = self._pulled()
        if not self._runs:
            return None
        return Chunk(self.estimator, self._runs[0].record, self._runs[0].new_segment or self._cut)

    def _pulled(self) -> list[Aligned]:
        with stage(Stage.ALIGN):
            return self.aligner.pull()

    def identified(self, found: Sequence[BlockOutcome] | Exception) -> None:
        """Take over what the estimator made of a chunk."""
        self._identified = found

    def advance(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Deal with what was taken in, all of it in one go: what a block costs beside its samples is paid once."""
        runs, self._runs = self._runs or self._pulled(), []
        if not runs:
            return
        self._pair_seen_ns = now_ns
        self.changed = True
        yield from self.board.end(AlarmKind.REFERENCE_LOST, now_ns)
        for aligned in runs:
            yield from self._identify(aligned, now_ns)
            self.adjuster.add(aligned)
        yield from self.adjuster.judge(now_ns)
        if self._fresh and self.block is not None and self.adjuster.ready():
            self._fresh = False
            if self._estimate is not None:
                yield from self.adjuster.review(self._estimate, self.block)

    def _identify(self, aligned: Aligned, now_ns: InstantNs) -> Iterator[Effect]:
        self.causes.samples(aligned.record)
        found, self._identified = self._identified, None
        outcomes = self._updated(aligned) if found is None else found
        self._cut = isinstance(outcomes, Exception)
        if isinstance(outcomes, Exception):
            yield Note("fit_failed", self.sensor.id, str(outcomes))
            return
        yield from self._watch(outcomes, now_ns)
        if outcomes:
            self._fresh = True
            self._estimate = self.estimator.estimate
            yield from self._watch_tolerance(now_ns)

    def _updated(self, aligned: Aligned) -> Sequence[BlockOutcome] | Exception:
        try:
            with stage(Stage.FIT):
                return self.estimator.update(aligned.record, new_segment=aligned.new_segment or self._cut)
        except FAULTS as error:
            return error

    def _watch(self, outcomes: Sequence[BlockOutcome], now_ns: InstantNs) -> Iterator[Effect]:
        """Watch for drift; blocks in a row that say something, and nothing else, are looked at together.

        One alone goes the same way: what is found must not depend on how many came at once, not even in its last bit.
        """
        for informative, several in BlockSeries.of(outcomes).stretches() if outcomes else ():
            if informative:
                yield from self._watch_together(several, now_ns)
            else:
                for outcome in several:
                    yield from self._watch_drift(outcome, now_ns)

    def _watch_together(self, series: BlockSeries, now_ns: InstantNs) -> Iterator[Effect]:
        blocks = Blocks(series.to_ns, series.evidence, series)
        self.block = newest = series[-1]
        self.causes.blocks(series, blocks)
        self.contradiction.block(newest, lambda: self.estimator.estimate)  # each of them ends what stands
        while len(blocks):
            with stage(Stage.DRIFT):
                n, found = self.monitor.advance(blocks)
            yield from self._drift_found(found, now_ns, informed=True)
            blocks = blocks.beyond(n)

    def _watch_drift(self, outcome: BlockOutcome, now_ns: InstantNs) -> Iterator[Effect]:
        self.block = outcome
        self.causes.block(outcome)
        if outcome.reset:
            yield Note("estimate_reset", self.sensor.id)
        if outcome.rejected:
            yield Note("block_rejected", self.sensor.id, f"rms of residuals {outcome.residual_rms:.3g}")
        self.contradiction.block(outcome, lambda: self.estimator.estimate)
        with stage(Stage.DRIFT):
            found = self.monitor.update(outcome)
        yield from self._drift_found(found, now_ns, informed=outcome.excited and not outcome.rejected)

    def _drift_found(self, now: DriftStatus, now_ns: InstantNs, *, informed: bool) -> Iterator[Effect]:
        was, self.drift = self.drift, now
        if self.drift.state is DriftState.DRIFT:
            found = findings.drift(self.sensor, now_ns, self.drift)
            yield from self.board.begin(found)
            if was is not None and was.state is not DriftState.DRIFT:  # what was a contradiction can be told now
                yield from self.board.explain(found)
        elif self.drift.state is DriftState.IN_CONTROL and informed:
            yield from self.board.end(AlarmKind.DRIFT, now_ns)

    def _watch_tolerance(self, now_ns: InstantNs) -> Iterator[Effect]:
        estimate, block = self._estimate, self.block
        if estimate is None or block is None or not estimate.accepted or estimate.parameters is None:
            return
        if self.baseline is None:
            verified = self.releases.in_force is not None
            if verified and tolerance.capable(estimate.parameters, block.cov, self.pairing.tolerance):
                name = baseline_id(self.sensor.id, InstantNs(block.to_ns))
                self.baseline = tolerance.Baseline(name, estimate.parameters.values.copy(), block.cov.copy())
                calibration = calibration_of(name, self.sensor, self.pairing, estimate, None, now_ns)
                yield AddCalibration(calibration, Act(ACTOR, now_ns, "baseline of the tolerance"))
            return
        changes = tolerance.changes(estimate.parameters, block.cov, self.baseline, self.pairing.tolerance)
        judged, self.conformity = tolerance.judge(changes), tolerance.conformity(changes)
        if judged.excess is not None:
            yield from self.board.begin(findings.out_of_tolerance(self.sensor, now_ns, judged.excess))
        elif judged.within:
            yield from self.board.end(AlarmKind.OUT_OF_TOLERANCE, now_ns)

    def reported(self, report: Report, running: CoefficientSet | None, now_ns: InstantNs) -> Iterator[Effect]:
        """Take in what the edge did with a set; `running` is the other one that it runs, where that is known."""
        act = Act(f"edge:{self.sensor.edge}", report.at_ns, report.reason or report.outcome)
        self.changed = True
        if report.outcome is Outcome.APPLIED:
            yield MoveSet(self.sensor.id, report.set_id, SetState.ACTIVE, act)
            yield from self.board.end(AlarmKind.CORRECTION_REVERTED, now_ns)
            return
        if report.outcome is Outcome.REJECTED and report.running == report.set_id != "":
            yield Note(
                "foreign_offer", self.sensor.id, report.reason
            )  # what runs was not rejected: another bore its name
            return
        state = SetState.REJECTED if report.outcome is Outcome.REJECTED else SetState.REVERTED
        yield MoveSet(self.sensor.id, report.set_id, state, act)
        if report.running not in ("", report.set_id):  # what the edge has gone back to, or stays with, is in force
            yield MoveSet(self.sensor.id, report.running, SetState.ACTIVE, act)
        if report.outcome is Outcome.REJECTED and report.reason.startswith("expired"):
            before = self.releases.in_force
            yield from self.releases.renewed(report.set_id, now_ns)
            if self.releases.in_force is not before:
                return
        if self.adjuster.withdrawn(report.set_id, running, now_ns):
            yield from self.board.begin(findings.not_in_force(self.sensor, now_ns, report))

    def connected(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Say again what the broker may have lost."""
        if self.releases.in_force is not None:
            yield SendDesired(EdgeAddress(self.sensor.site, self.sensor.edge), self.sensor.id)
        if self.releases.policy.shadow_s > 0:
            yield self.releases.shadow()
        yield from self.board.repeat()
        self.desk.repeat()

    def health(self, now_ns: InstantNs) -> SensorHealth:
        """Return how the sensor stands."""
        state, since_ns = self.monitor.stands(now_ns)
        if self.contradiction.stands_ns is not None and state is not DriftState.DRIFT:
            state, since_ns = DriftState.CANNOT_TELL, self.monitor.informed_ns
        found = self.drift if state is DriftState.DRIFT else None
        informed_ns = self.monitor.informed_ns
        return SensorHealth(
            self.sensor.id,
            now_ns,
            now_ns,
            Watch(state),
            InstantNs(self._begun_ns if since_ns is None else since_ns),
            None if informed_ns is None else InstantNs(informed_ns),
            self._why(state, now_ns),
            "" if found is None else found.parameter,
            None if found is None else number(found.change),
            None if found is None else number(found.u_change),
            attribution=self.causes.attribution,
            conformity=self.conformity,
            outlook=self.causes.outlook,
        )

    def cause_found(self) -> Iterator[Effect]:
        """Say with the drift what has changed, as far as that can be told."""
        told, found = self.causes.attribution, self.board.holds(AlarmKind.DRIFT)
        if told is not None and found is not None:
            yield from self.board.explain(findings.explained(found, told, self.pairing.reference))

    def agreed_ns(self, now_ns: InstantNs) -> int | None:
        """Return the last instant at which the data spoke for sensor and reference as they were, before a drift."""
        state, since_ns = self.monitor.stands(now_ns)
        return since_ns if state is DriftState.DRIFT else self.monitor.informed_ns

    def contradicted(self, others: Iterable[Tracker], now_ns: InstantNs) -> Iterator[Effect]:
        """Say that sensor and reference have come apart that agreed before, and whose fault it is.

        They agreed where a set is in force or a block has spoken for them. The monitor hears nothing of blocks in doubt
        and may learn for ever: that is no reason to wait for it.
        """
        stands_ns = self.contradiction.stands_ns
        if stands_ns is None or (self.releases.in_force is None and self.monitor.informed_ns is None):
            return
        state, _ = self.monitor.stands(now_ns)
        cause = whose(stands_ns, [(other.agreed_ns(now_ns), other.contradiction.stands_ns) for other in others])
        held, told = self.board.holds(AlarmKind.DRIFT), self.causes.attribution
        if state is DriftState.DRIFT:
            if held is None or (told is not None and told.cause is not Cause.CANNOT_TELL):
                return
            found = findings.parted(held, cause, self.pairing.reference)
        else:
            at_ns, words = now_ns if held is None else held.at_ns, self.contradiction.words
            found = findings.contradiction(self.sensor, at_ns, words, cause, self.pairing.reference)
        self.changed = True
        yield from self.board.begin(found)
        yield from self.board.explain(found)

    @property
    def drifts(self) -> bool:
        """Whether a drift stands."""
        return self.drift is not None and self.drift.state is DriftState.DRIFT

    def _why(self, state: DriftState, now_ns: InstantNs) -> str:
        if state is not DriftState.CANNOT_TELL:
            return ""
        if now_ns - self._pair_seen_ns > self._timeout_ns:
            return "no pairs of sensor and reference arrive"
        if self.contradiction.stands_ns is not None:
            return f"sensor and reference contradict each other: {self.contradiction.words}"
        if self.block is not None and self.block.rejected:
            return "the data contradict the model"
        return "the process does not move enough to tell the sensor's dynamics"

    @property
    def _timeout_ns(self) -> int:
        return duration(max(self.rules.reference_timeout_s, 10 * seconds(self.sensor.dt_ns)))

    def excuse(self, now_ns: InstantNs) -> None:
        """Take it that sensor and reference were there until now: what they sent was passed over."""
        self._sensor_seen_ns = self._pair_seen_ns = self._reference_seen_ns = now_ns

    def tick(self, now_ns: InstantNs, *, reference_online: bool = True) -> Iterator[Effect]:
        """Say how the sensor stands; look for the reference, of which nothing is known while the sensor is silent."""
        yield from self.desk.tell(self.health(now_ns))
        yield from self.releases.proceed(now_ns)
        timeout_ns = self._timeout_ns
        alone_ns = now_ns - self._pair_seen_ns
        if now_ns - self._sensor_seen_ns > timeout_ns or alone_ns <= timeout_ns + duration(self.rules.patience_s):
            return
        if not reference_online:
            why = "its edge is offline"
        elif now_ns - self._reference_seen_ns > timeout_ns:
            why = "none came, or only bad ones"
        else:
            why = "their instants do not meet those of the sensor"
        lost = findings.reference_lost(
            self.sensor,
            now_ns,
            self.pairing.reference,
            None if self.reference is None else self.reference.edge,
            seconds(alone_ns),
            why,
        )
        self.changed = True
        yield from self.board.begin(lost)


def _capacity(dt_ns: int) -> int:
    return int(min(max(_BUFFER_S * NS_PER_S / dt_ns, _BUFFER_SAMPLES[0]), _BUFFER_SAMPLES[1]))
