"""The correction of one sensor: which set runs, how it came to run, and when it must not go on. Sans-I/O."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.contracts import codec
from dyncal.contracts.coefficients import read_envelope
from dyncal.correction.forms import corrector_of
from dyncal.correction.streaming.corrector import Corrector
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet, Outcome, Report
from dyncal.domain.errors import InvalidData, MalformedMessage, RejectedSet
from dyncal.domain.quality import UInt32Array
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import CorrectedSpan, FloatArray
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from edge_agent.acceptance import Kept, Policy, decode_kept, encode_kept, examine
from edge_agent.events import Effect, Keep, Kind, Notice, Tell
from edge_agent.history import History
from edge_agent.monitors import Monitor, monitor_of
from edge_agent.shadow import Shadow

_FUTURE_NS: Final = 86_400 * 1_000_000_000
_SAYABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*")  # an id that the wire takes
_NOT_OURS: Final = ("malformed", "digest", "signature")
_EXPIRED: Final = "expired: the time within which it was to be applied is over"


@dataclass(slots=True)
class _Running:
    coefficients: CoefficientSet
    corrector: Corrector
    monitor: Monitor


@dataclass(frozen=True, slots=True)
class _Waiting:
    coefficients: CoefficientSet
    envelope: bytes


class Adjustment:
    """Applies, rejects and reverts sets for one sensor, and corrects its blocks."""

    def __init__(self, sensor: Sensor, policy: Policy, history: History, u_t_ns: DurationNs) -> None:
        self._sensor = sensor
        self._policy = policy
        self._history = history
        self.u_t_ns = u_t_ns
        self.behind_ns = 0  # by how much our clock is behind that of the services, at least
        self._kept = Kept()
        self._running: _Running | None = None
        self._waiting: _Waiting | None = None
        self._sent_to: InstantNs | None = None
        self._shadow: Shadow | None = None
        self._ended: ResidualReport | None = None  # the last word of a shadow, or of one that could not begin

    @property
    def set_id(self) -> str | None:
        """The set that runs."""
        return None if self._running is None else self._running.coefficients.id

    def restore(self, content: bytes | None, highest: int, now: InstantNs) -> list[Effect]:
        """Go on with what was kept on disk; it is examined as if it had just come.

        `highest` is the highest sequence ever applied, as kept apart. Where the content is older than that, or cannot
        be used, the set of that very number may come again; none before it.
        """
        self._kept = Kept(highest=max(0, highest - 1))
        if content is None:
            return []
        try:
            self._kept = decode_kept(content).at_least(highest - 1)
        except MalformedMessage as error:
            return [Notice(Kind.SET_REJECTED, now, self._sensor.id, f"what was kept of sets is unreadable: {error}")]
        return self._resume("last known good set, from disk", now)

    def _resume(self, reason: str, now: InstantNs) -> list[Effect]:
        if self._kept.current is None:
            return []
        try:
            coefficients = examine(self._kept.current.encode(), self._sensor, self._policy.of_kept())
            self._start(coefficients)
        except RejectedSet as error:  # it stays on disk: with another key or limit the next start may take it up
            return [Notice(Kind.SET_REJECTED, now, self._sensor.id, f"the set on disk: {error}")]
        return self._told(coefficients, Outcome.APPLIED, reason, now)

    def desire(self, envelope: bytes, now: InstantNs) -> list[Effect]:
        """Examine an envelope, and apply its set from the next sample on if it passes."""
        in_use = self._kept.current is not None and envelope == self._kept.current.encode()
        try:
            coefficients = examine(envelope, self._sensor, self._policy.of_kept() if in_use else self._policy)
        except RejectedSet as error:
            return self._rejected_unread(envelope, str(error), now)
        refusal = "" if in_use else self._refusal(coefficients, now)
        if in_use and self.set_id == coefficients.id:
            return self._told(coefficients, Outcome.APPLIED, "runs already", now)
        if coefficients.id in self._kept.reverted:
            return self._told(coefficients, Outcome.REVERTED, "was reverted before, and is not tried again", now)
        if refusal:
            return self._told(coefficients, Outcome.REJECTED, refusal, now, _digest(envelope))
        self._waiting = _Waiting(coefficients, envelope)
        return self.due(now)

    def _refusal(self, coefficients: CoefficientSet, now: InstantNs) -> str:
        """Return why a set that is fit to run is not to run now; '' if nothing speaks against it."""
        if coefficients.sequence <= self._kept.highest:
            return f"sequence: {coefficients.sequence} is not above {self._kept.highest}, the highest applied here"
        waiting = self._waiting
        if waiting is not None and coefficients.sequence < waiting.coefficients.sequence:
            return f"sequence: {coefficients.sequence} is not above {waiting.coefficients.sequence}, which waits here"
        if self._expired(coefficients, now):
            return _EXPIRED
        if coefficients.valid_from_ns > now + self.behind_ns + _FUTURE_NS:
            return "valid_from: more than a day ahead"
        return ""

    def _expired(self, coefficients: CoefficientSet, now: InstantNs) -> bool:
        """Tell whether it is too late to begin with a set. What runs already goes on."""
        return coefficients.apply_until_ns is not None and now + self.behind_ns > coefficients.apply_until_ns

    def due(self, now: InstantNs) -> list[Effect]:
        """Apply the set that waits for its time, if that has come. Called between blocks."""
        waiting = self._waiting
        if waiting is None or waiting.coefficients.valid_from_ns > now + self.behind_ns:
            return []
        self._waiting = None
        try:
            self._start(waiting.coefficients)
        except RejectedSet as error:
            return self._told(waiting.coefficients, Outcome.REJECTED, str(error), now, _digest(waiting.envelope))
        self._kept = self._kept.applied(waiting.envelope, waiting.coefficients.sequence)
        if self._shadow is not None and self._shadow.coefficients.id == waiting.coefficients.id:
            self._end_shadow()
        return [
            Keep(self._sensor.id, encode_kept(self._kept), self._kept.highest),
            *self._told(waiting.coefficients, Outcome.APPLIED, "", now),
        ]

    def accompany(self, envelope: bytes, now: InstantNs) -> None:
        """Run a set beside the one in force from the next sample on, in place of any other; an empty one ends it.

        What nobody has signed whom this edge trusts ends nothing.
        """
        if not envelope:
            self._end_shadow()
            return
        try:
            coefficients = examine(envelope, self._sensor, self._policy, shadow=True)
            late = self._expired(coefficients, now)
            beside = None if late else Shadow(coefficients, self._history, self.u_t_ns)
            fault = _EXPIRED if late else ""
        except RejectedSet as error:
            beside, fault = None, str(error)[:500]
            if error.reason in _NOT_OURS and self._shadow is not None:
                return
        self._end_shadow()
        self._shadow = beside
        set_id, _ = _claimed(envelope)
        if fault and _SAYABLE.fullmatch(set_id):
            self._ended = ResidualReport(self._sensor.id, set_id, 0.0, 0.0, 0, shadow=True, fault=fault)

    def _end_shadow(self) -> None:
        if self._shadow is not None:
            self._ended = self._shadow.report()
            self._shadow = None

    def residuals(self) -> list[ResidualReport]:
        """Return what is new of the residuals of the set in force, and of the shadow."""
        found: list[ResidualReport] = []
        running = self._running
        if running is not None:
            rms, n = running.monitor.tally.take()
            c = running.coefficients
            if n:
                found.append(ResidualReport(c.sensor, c.id, rms, c.residual_limit, n))
        ended, self._ended = self._ended, None
        beside = None if self._shadow is None else self._shadow.report()
        return found + [report for report in (ended, beside) if report is not None]

    def correct(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, now: InstantNs
    ) -> tuple[CorrectedSpan | None, list[Effect]]:
        """Correct a block that is in the history already; a set that fails is reverted and its span dropped."""
        span, effects = self._correct(t_ns, raw, codes, now)
        if self._shadow is not None:
            self._shadow.run(t_ns, raw, codes, span)
        return span, effects

    def _correct(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, now: InstantNs
    ) -> tuple[CorrectedSpan | None, list[Effect]]:
        running = self._running
        if running is None:
            return None, []
        try:
            span = running.corrector.process(t_ns, raw, codes, self.u_t_ns)
        except (InvalidData, FloatingPointError) as error:
            return None, self._revert(f"the corrector failed: {error}", now)
        if span is None:
            return None, []
        about = span.axis.t_ns
        at, known = self._history.at(about)
        indications = np.where(quality.is_bad(known), np.nan, at) if np.count_nonzero(known) else at
        wrong = running.monitor.update(span.value, indications)
        if wrong:
            return None, self._revert(wrong, now)
        self._sent_to = InstantNs(int(about[-1]))
        return span, []

    def interrupted(self) -> None:
        """Begin anew after the clock stepped back: the same set, without history."""
        self._sent_to = None
        if self._running is not None:
            self._start(self._running.coefficients)
        if self._shadow is not None:
            self._shadow.interrupted()

    def _start(self, coefficients: CoefficientSet) -> None:
        """Run a set from the next sample on. Raises `RejectedSet` if it cannot run.

        It is primed with what it needs to go on after the last corrected instant that was sent: no instant is left out
        or corrected twice, whatever the latencies of this set and the one before.
        """
        try:
            corrector = corrector_of(coefficients.correction, coefficients.parameters, coefficients.id)
            t_ns, raw, codes = self._history.newest(corrector.history_length + self._n_unsent())
            if t_ns.size:
                corrector.prime(t_ns, raw, codes, self.u_t_ns, emitted_to_ns=self._sent_to)
        except (InvalidData, FloatingPointError) as error:
            raise RejectedSet("corrector", str(error)) from error
        self._running = _Running(coefficients, corrector, monitor_of(coefficients, corrector))

    def _n_unsent(self) -> int:
        """Return how many of the newest samples have not been corrected yet."""
        return 0 if self._sent_to is None else self._history.n_after(self._sent_to)

    def _revert(self, why: str, now: InstantNs) -> list[Effect]:
        running = self._running
        if running is None:
            return []
        bad = running.coefficients
        self._running = None
        self._kept = self._kept.fallen_back(bad.id)
        resumed = self._resume("", now)
        after = f"; {self.set_id} runs again" if self.set_id else "; no correction now"
        notices = [effect for effect in resumed if isinstance(effect, Notice) and effect.kind is Kind.SET_REJECTED]
        return [
            *notices,
            Keep(self._sensor.id, encode_kept(self._kept), self._kept.highest),
            *self._told(bad, Outcome.REVERTED, why + after, now),
        ]

    def _told(
        self, coefficients: CoefficientSet, outcome: Outcome, reason: str, now: InstantNs, digest: str = ""
    ) -> list[Effect]:
        kind = {
            Outcome.APPLIED: Kind.SET_APPLIED,
            Outcome.REJECTED: Kind.SET_REJECTED,
            Outcome.REVERTED: Kind.SET_REVERTED,
        }[outcome]
        report = Report(
            self._sensor.id, coefficients.id, coefficients.sequence, outcome, now, reason, self.set_id or "", digest
        )
        detail = f"{coefficients.id} ({coefficients.sequence})" + (f": {reason}" if reason else "")
        return [Tell(report), Notice(kind, now, self._sensor.id, detail)]

    def _rejected_unread(self, envelope: bytes, reason: str, now: InstantNs) -> list[Effect]:
        set_id, sequence = _claimed(envelope)
        report = Report(
            self._sensor.id, set_id, sequence, Outcome.REJECTED, now, reason, self.set_id or "", _digest(envelope)
        )
        return [Tell(report), Notice(Kind.SET_REJECTED, now, self._sensor.id, reason)]


def _digest(envelope: bytes) -> str:
    """Return the SHA-256 of the text in an envelope; '' where it cannot be read."""
    try:
        return hashlib.sha256(read_envelope(envelope).set.encode()).hexdigest()
    except (MalformedMessage, UnicodeEncodeError):
        return ""


def _claimed(envelope: bytes) -> tuple[str, int]:
    """Return the id and sequence that an envelope claims, for the report only; ('', 0) where it cannot be read."""
    try:
        claimed = codec.from_json(read_envelope(envelope).set, dict)
        return str(claimed["id"])[:128], int(claimed["sequence"])
    except (MalformedMessage, ValueError, TypeError, KeyError, OverflowError):
        return "", 0
