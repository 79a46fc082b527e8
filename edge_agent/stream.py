"""One sensor's way from what was read to numbered records. Sans-I/O.

What comes in any order, twice, or with an impossible time is sorted out here; nothing that could be kept is dropped:
a sample that comes late is sent in a record of its own, without correction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray, Gap, GapCause
from dyncal.domain.sensors import EdgeId
from dyncal.domain.time import EARLIEST, DurationNs, InstantNs, Int64Array
from edge_agent import plausibility
from edge_agent.acceptance import Policy
from edge_agent.adjustment import Adjustment
from edge_agent.counts import StreamCounts
from edge_agent.events import (
    DELIVERED_AGAIN_NS,
    AgentLimits,
    Append,
    ClockTold,
    Effect,
    Kind,
    Notice,
    Refuse,
    Release,
    SamplesRead,
    StreamConfig,
    StreamStart,
)
from edge_agent.history import History
from edge_agent.numbering import Numbering
from edge_agent.pending import Pending
from edge_agent.refusals import Refusals, of_samples

_OVERFLOW_MASK: Final = np.uint32(0x0C80)
_CLOCK_AHEAD_NS: Final = 5_000_000_000
_AT_ONCE: Final = 16_384


class Stream:
    """De-duplicates, finds gaps, cuts blocks, has them corrected and numbers them."""

    def __init__(
        self, config: StreamConfig, edge: EdgeId, epoch: int, start: StreamStart, limits: AgentLimits, policy: Policy
    ) -> None:
        self._config = config
        self._numbering = Numbering(config.sensor.id, edge, epoch, start.next_sequence)
        self._limits = limits
        self._last_t = start.last_t_ns
        # What is missing between the last life and this one is missing because nobody listened.
        self._cause = None if start.last_t_ns is None else GapCause.CONNECTION_LOST
        # What comes first may be delivered again: read before, and not acknowledged in time.
        self._again = start.last_t_ns is not None
        self._first_arrival: InstantNs | None = None
        self._last_arrival: InstantNs | None = None
        self._since_arrival_ns = 0
        self._set_back = False  # the source's clock, and not set right since
        self._silent = False
        self._spoke = start.last_t_ns is not None  # what never had a value has not fallen silent
        self._n_late_run = 0
        self._n_told = 0  # refused since the newest sample: missing after it, and told already
        self._last_late = 0
        self._pending = Pending()
        self._history = History(limits.history_samples)
        self._before: Int64Array = np.empty(0, np.int64)  # what a former life had taken
        self._seen: dict[int, None] = {}
        self.adjustment = Adjustment(config.sensor, policy, self._history, config.u_t_ns)
        self.refusals = Refusals(limits.history_samples)
        self.counts = StreamCounts()

    @property
    def config(self) -> StreamConfig:
        """What is known of the sensor."""
        return self._config

    @property
    def next_sequence(self) -> int:
        """The number that the next record gets."""
        return self._numbering.next

    @property
    def newest_ns(self) -> InstantNs | None:
        """Newest instant taken, by the spool where nothing came since the start."""
        return self._last_t

    @property
    def lag_ns(self) -> int | None:
        """From the newest sample's own instant to the last arrival [ns]; None before there is one."""
        return None if self._last_arrival is None or self._last_t is None else self._last_arrival - self._last_t

    def jump(self, sequence: int) -> None:
        """Number from `sequence` on at least."""
        self._numbering.next = max(self._numbering.next, sequence)

    # Input

    def take(self, read: SamplesRead) -> list[Effect]:
        """Take what a reader had."""
        self.counts.n_read += read.t_ns.size
        self._since_arrival_ns = 0 if self._last_arrival is None else read.arrival_ns - self._last_arrival
        self._last_arrival = read.arrival_ns
        if self._first_arrival is None:
            self._first_arrival = read.arrival_ns
        elif self._again:
            self._again = 0 <= read.arrival_ns - self._first_arrival < DELIVERED_AGAIN_NS
        self._silent = False
        effects: list[Effect] = []
        if read.unreadable is not None and not self.refusals.told([read.unreadable], read, self._first_arrival)[0]:
            self._gap(Gap(read.arrival_ns, read.arrival_ns, GapCause.REJECTED), effects, [read.unreadable])
        if plausibility.ordinary(read, self._last_t, self._limits.max_skew_ns, self._config.gap_after_ns):
            self._cause = None
            self._add(read.t_ns, read.raw, read.codes, read, effects)
        else:
            self._sift(read, effects)
        self._receive(read.receipt, effects)
        if self._config.sensor.dt_ns >= self._limits.flush_ns:
            effects += self.cut(read.arrival_ns)
        return effects

    def _sift(self, read: SamplesRead, effects: list[Effect]) -> None:
        """Take of a reading what can be taken, part by part."""
        t_ns, raw, codes, n_behind = self._plausible(read, effects)
        raw, codes = plausibility.sane(raw, codes)
        done = 0
        while done < t_ns.size:
            part = slice(done, done + _AT_ONCE)
            done += self._sort(t_ns[part], raw[part], codes[part], read, effects)
        self._n_told += n_behind

    def _plausible(self, read: SamplesRead, effects: list[Effect]) -> tuple[Int64Array, FloatArray, UInt32Array, int]:
        """Return what can be taken, and how many samples behind it were refused: they belong to the next hole."""
        good = plausibility.possible(read, self._last_t, self._limits.max_skew_ns)
        if np.count_nonzero(good) == good.size:
            return read.t_ns, read.raw, read.codes, 0
        n_behind = self._refuse(read, ~good, effects)
        return read.t_ns[good], read.raw[good], read.codes[good], n_behind

    def _refuse(self, read: SamplesRead, bad: npt.NDArray[np.bool_], effects: list[Effect]) -> int:
        """Keep samples with impossible times out of the records, not out of the account; return how many came last."""
        positions, now = np.flatnonzero(bad), read.arrival_ns
        digests = of_samples(read.t_ns[bad], read.raw[bad], read.codes[bad])
        fresh = [k for k, told in enumerate(self.refusals.told(digests, read, self._first_arrival)) if not told]
        self.counts.n_duplicate += positions.size - len(fresh)
        self.counts.n_refused += len(fresh)
        if not fresh:
            return 0
        chosen = positions[fresh]
        n_behind = int(np.count_nonzero(chosen > np.flatnonzero(~bad).max(initial=-1)))
        self._n_told += len(fresh) - n_behind
        self._gap(Gap(now, now, GapCause.REJECTED, len(fresh)), effects, [digests[k] for k in fresh])
        t_ns = read.t_ns[chosen]
        why = f"{t_ns.size} samples with impossible times, such as {int(t_ns[0])} ns at arrival {now} ns"
        effects.append(Refuse(self._config.sensor.id, t_ns, read.raw[chosen], read.codes[chosen], why, now))
        effects.append(Notice(Kind.SAMPLES_REFUSED, now, self._config.sensor.id, why))
        return n_behind

    def _sort(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, read: SamplesRead, effects: list[Effect]
    ) -> int:
        """Take samples up to where the source's clock was set back, or all; return how many."""
        newest = EARLIEST - 1 if self._last_t is None else self._last_t
        if plausibility.increase(t_ns, newest):
            self._fresh(t_ns, raw, codes, read, effects)
            return t_ns.size
        bar = np.maximum.accumulate(np.concatenate((np.array([newest], np.int64), t_ns)))[:-1]
        return self._mixed(t_ns, raw, codes, t_ns > bar, read, effects)

    def _mixed(
        self,
        t_ns: Int64Array,
        raw: FloatArray,
        codes: UInt32Array,
        fresh: npt.NDArray[np.bool_],
        read: SamplesRead,
        effects: list[Effect],
    ) -> int:
        """Go through runs of fresh and of late samples in the order in which they came; return how many were taken."""
        edges = [0, *(np.flatnonzero(np.diff(fresh.astype(np.int8))) + 1).tolist(), t_ns.size]
        for a, b in itertools.pairwise(edges):
            part = slice(a, b)
            if not fresh[a]:
                stepped = self._late(t_ns[part], raw[part], codes[part], read, effects)
                if stepped is not None:
                    self._step_back(int(t_ns[a + stepped]), read, effects)
                    return int(a + stepped)
            else:
                self._fresh(t_ns[part], raw[part], codes[part], read, effects)
        return t_ns.size

    def _fresh(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, read: SamplesRead, effects: list[Effect]
    ) -> None:
        """Take samples that are newer than all before, in order."""
        if t_ns.size:
            self._find_gaps(t_ns, codes, read, effects)
            self._add(t_ns, raw, codes, read, effects)

    def _add(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, read: SamplesRead, effects: list[Effect]
    ) -> None:
        """Put samples to those that wait, and cut what is a block."""
        self._n_late_run = self._n_told = 0
        self._again = False
        self._last_t = InstantNs(int(t_ns[-1]))
        self._spoke = self._spoke or bool(np.count_nonzero(~quality.is_bad(codes)))
        done = 0
        while done < t_ns.size:
            part = slice(done, done + self._limits.block_samples - len(self._pending))
            self._history.extend(t_ns[part], raw[part], codes[part])
            self._pending.add(t_ns[part], raw[part], codes[part], read.arrival_ns, read.server_ns)
            done = part.stop
            if len(self._pending) >= self._limits.block_samples:
                effects += self.cut(read.arrival_ns)

    def _find_gaps(self, t_ns: Int64Array, codes: UInt32Array, read: SamplesRead, effects: list[Effect]) -> None:
        if self._goes_on(t_ns, codes):
            self._cause = None
            return
        overflow = (codes & _OVERFLOW_MASK) == np.uint32(quality.OVERFLOW_BITS)
        if self._last_t is None:
            before, steps = t_ns[:-1], np.diff(t_ns)
            overflow = overflow[1:]
        else:
            before = np.concatenate((np.array([self._last_t], np.int64), t_ns[:-1]))
            steps = t_ns - before
        cause, self._cause = self._cause, None
        n_mute = 0 if self._spoke else plausibility.n_without_value(codes) + 1 - (t_ns.size - steps.size)
        for k in np.flatnonzero((steps > self._config.gap_after_ns) | overflow).tolist():
            step = int(steps[k])
            instant = int(before[k]) + step
            why = (
                GapCause.SERVER_OVERFLOW
                if overflow[k]
                else self._why(cause if k == 0 else None, step, instant, read.arrival_ns)
            )
            if why is GapCause.SOURCE_SILENT and k < n_mute:
                continue
            n_lost = round(step / self._config.sensor.dt_ns) - 1
            lost = n_lost if n_lost > 0 and why is not GapCause.CLOCK_STEP else None
            if lost is not None and k == 0:
                lost = max(lost - self._n_told, 0)
            after = InstantNs(instant - step)
            self._gap(Gap(after, InstantNs(instant), why, lost), effects)
            if why in (GapCause.SERVER_OVERFLOW, GapCause.CLOCK_STEP):
                kind = Kind.OVERFLOW if why is GapCause.SERVER_OVERFLOW else Kind.CLOCK_STEP
                detail = f"{step / 1e9:.6g} s after {after} ns"
                effects.append(Notice(kind, read.arrival_ns, self._config.sensor.id, detail))

    def _goes_on(self, t_ns: Int64Array, codes: UInt32Array) -> bool:
        """Tell whether these are good samples that follow the last without a gap, as a rule."""
        longest = self._config.gap_after_ns
        return (
            self._last_t is not None
            and int(t_ns[0]) - self._last_t <= longest
            and not np.count_nonzero(codes)
            and (t_ns.size == 1 or not np.count_nonzero(t_ns[1:] - t_ns[:-1] > longest))
        )

    def _why(self, cause: GapCause | None, step_ns: int, before_ns: int, arrival_ns: InstantNs) -> GapCause:
        if cause is not None:
            return cause
        # A source whose samples come from the future has had its clock set; one that sends late was silent. So is one
        # taken for whose samples jump while they arrive as before, unless its clock has been set back and is set right.
        ahead_ns = max(self._config.gap_after_ns, _CLOCK_AHEAD_NS)
        set_right = self._set_back and step_ns - self._since_arrival_ns > ahead_ns
        if set_right:
            self._set_back = False
        return GapCause.CLOCK_STEP if set_right or before_ns - arrival_ns > ahead_ns else GapCause.SOURCE_SILENT

    def _gap(self, gap: Gap, effects: list[Effect], refused: Sequence[int] = ()) -> None:
        self.counts.n_gaps += 1
        effects.append(Append(self._numbering.gap(gap, refused)))

    # Late samples

    def know(self, t_ns: Int64Array) -> None:
        """Take none of the samples at these instants again, shape (n,) [ns], the newest last."""
        self._before = np.unique(t_ns[-self._limits.history_samples :])

    def _see(self, instants: Iterable[int]) -> None:
        self._seen.update(dict.fromkeys(instants))
        while len(self._seen) > self._limits.history_samples:
            del self._seen[next(iter(self._seen))]

    def _late(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array, read: SamplesRead, effects: list[Effect]
    ) -> int | None:
        """Send late samples on their own; return the position from which on the source's clock was set back, if so."""
        known = self._history.holds(t_ns) | np.isin(t_ns, self._before)
        chosen: dict[int, int] = {}
        stepped: int | None = None
        for k, instant in enumerate(t_ns.tolist()):
            if known[k] or instant in chosen or instant in self._seen:
                self.counts.n_duplicate += 1
                continue
            if not self._again:
                self._n_late_run = self._n_late_run + 1 if instant > self._last_late else 1
                self._last_late = instant
            if self._n_late_run > self._limits.late_before_step:
                stepped = k
                break
            chosen[instant] = k
        if chosen:
            self._send_late(t_ns, raw, codes, chosen, read, effects)
        return stepped

    def _send_late(
        self,
        t_ns: Int64Array,
        raw: FloatArray,
        codes: UInt32Array,
        chosen: dict[int, int],
        read: SamplesRead,
        effects: list[Effect],
    ) -> None:
        self.counts.n_late += len(chosen)
        self._see(chosen)
        order = np.array([chosen[instant] for instant in sorted(chosen)])
        for a in range(0, order.size, self._limits.block_samples):
            part = order[a : a + self._limits.block_samples]
            self.counts.n_blocks += 1
            block = self._numbering.block(
                t_ns[part], raw[part], codes[part], read.arrival_ns, read.server_ns, None, self.adjustment.u_t_ns
            )
            effects.append(Append(block))

    def _step_back(self, to: int, read: SamplesRead, effects: list[Effect]) -> None:
        effects += self.cut(read.arrival_ns)
        detail = f"source clock set back from {self._last_t} ns to {to} ns"
        effects.append(Notice(Kind.CLOCK_STEP, read.arrival_ns, self._config.sensor.id, detail))
        self._last_t = InstantNs(to - 1)
        self._set_back = True
        self._n_late_run = 0
        self._cause = None
        self._history.clear()
        self.adjustment.interrupted()

    # Output

    def cut(self, now: InstantNs) -> list[Effect]:
        """Make a record of what is pending."""
        pending = self._pending
        effects: list[Effect] = []
        if len(pending):
            t_ns, raw, codes = pending.arrays()
            span, effects = self.adjustment.correct(t_ns, raw, codes, now)
            self.counts.n_corrected += 0 if span is None else len(span.axis)
            self.counts.n_blocks += 1
            block = self._numbering.block(
                t_ns, raw, codes, pending.arrival_ns, pending.server_ns, span, self.adjustment.u_t_ns
            )
            effects = [Append(block), *effects]
        receipts = pending.clear()
        if receipts:
            effects.append(Release(receipts))
        return effects + self.adjustment.due(now)

    def tick(self, now: InstantNs) -> list[Effect]:
        """Cut when it is time, and notice silence."""
        effects = self.cut(now) if self._pending.due(now, self._limits.flush_ns) else []
        if not self._silent and self._last_arrival is not None:
            silence = now - self._last_arrival
            if silence > self._config.silent_after_ns:
                self._silent = True
                detail = f"nothing for {silence / 1e9:.3g} s"
                effects.append(Notice(Kind.SOURCE_SILENT, now, self._config.sensor.id, detail))
        return effects

    def clock(self, told: ClockTold) -> list[Effect]:
        """Take how good this machine's clock is; what came before goes out with what held then."""
        if not self._config.own_clock:
            return []
        effects = self.cut(told.at_ns) if len(self._pending) else []
        self.adjustment.u_t_ns = DurationNs(math.ceil(math.hypot(self._config.u_t_ns, told.u_ns)))
        return effects

    def lost(self, cause: GapCause) -> None:
        """Put the next gap down to `cause`."""
        if self._last_t is not None:
            self._cause = cause

    def _receive(self, receipt: Hashable | None, effects: list[Effect]) -> None:
        if receipt is None:
            return
        if len(self._pending):
            self._pending.receipts.append(receipt)
        else:
            effects.append(Release((receipt,)))
