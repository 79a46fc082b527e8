"""Whatever happens to a spool, and in whatever order: held against a model that only counts.

Nothing acknowledged is lost: every number that was taken is either with the store, in the spool with the content that
it was given, or told in a gap, to the sample. No number is used for two contents that the store can have seen.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dyncal.contracts import samples as wire
from dyncal.domain.samples import GapCause, GapRecord
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.events import StreamStart
from edge_agent.spool import Entry, EntryKind, Spool, SpoolLimits, marks
from tests.unit.edge_agent.helpers import EDGE, T0
from tests.unit.edge_agent.spool.faulty import Dead, FaultyDisk
from tests.unit.edge_agent.spool.helpers import die

SENSORS: Final = (SensorId("A"), SensorId("B"), SensorId("C"))
AMPLE: Final = 1_000_000
"""Bytes that no run uses up."""

Key = tuple[SensorId, int]


class SpoolMachine(RuleBasedStateMachine):
    """Appends, watermarks, deaths, losses of power, disks that fail, starts."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.disk = FaultyDisk(self.directory)
        self.boots = 0
        self.boot_id, self.stride = marks._boot_id, marks.STRIDE
        marks.STRIDE = 64  # type: ignore[misc]  # as a day of records would use it up
        self.time = int(T0)
        self.content: dict[Key, bytes] = {}  # what was ever numbered
        self.samples: dict[Key, int] = {}
        self.sent: dict[Key, bytes] = {}  # what the store can have seen
        self.tickets: list[Key] = []  # of this life, in the order of their tickets
        self.at_risk: set[Key] = set()  # written since the last sync
        self.stored: set[Key] = set()
        self.earlier: set[Key] = set()  # acknowledged in earlier lives
        self.lost: set[Key] = set()  # with the power, or with the process before the disk had it
        self.gaps_sent: list[Entry] = []
        self.next: dict[SensorId, int] = {}
        self.upto: dict[SensorId, int] = {}
        self.n_durable = 0
        self.n_starts = 0
        self.power_was_lost = self.died_in_flush = False
        self.silent = False
        self.spool: Spool | None = None

    @initialize(policy=st.sampled_from(["oldest", "newest", "thin"]), n_bytes=st.sampled_from([4000, 12_000, AMPLE]))
    def begin(self, policy: str, n_bytes: int) -> None:
        self.disk.__enter__()
        self.limits = SpoolLimits(n_bytes, 1000, policy)  # type: ignore[arg-type]  # one of the three
        self._boot()
        self._start()

    def teardown(self) -> None:
        self._well()
        if self.spool is not None:
            self.spool.close()
        self.disk.__exit__()
        marks._boot_id, marks.STRIDE = self.boot_id, self.stride  # type: ignore[misc]  # put back
        shutil.rmtree(self.directory)

    # What happens

    @rule(
        sensors=st.lists(st.sampled_from(SENSORS), min_size=1, max_size=12),
        n=st.integers(1, 9),
        size=st.sampled_from([0, 50, 300]),
    )
    def append(self, sensors: list[SensorId], n: int, size: int) -> None:
        for sensor in sensors:
            self._append(sensor, n, size)

    @rule(sensors=st.lists(st.sampled_from(SENSORS), min_size=5, max_size=20), size=st.sampled_from([50, 300]))
    def append_and_flush(self, sensors: list[SensorId], size: int) -> None:
        for sensor in sensors:
            self._append(sensor, 3, size)
        self.flush()

    def _append(self, sensor: SensorId, n: int, size: int) -> None:
        spool = self._spool()
        self.next[sensor] = number = max(
            self.next.get(sensor, 0), spool.starts.get(sensor, StreamStart()).next_sequence
        )
        self.next[sensor] += 1
        self.time += 1000
        key = (sensor, number)
        assert key not in self.sent, "a number is used a second time"
        self.content[key] = (b"%d" % self.time * 20)[:size]
        self.samples[key] = n
        spool.append(Entry(EntryKind.BLOCK, sensor, number, number, self.time - n, self.time, n, self.content[key]))
        self.tickets.append(key)

    @rule()
    def flush(self) -> None:
        self._send(self._spool().flush())

    @rule(n=st.integers(0, 400))
    def flush_and_die(self, n: int) -> None:
        spool = self._spool()
        self.disk.dies_after = n
        try:
            self._send(spool.flush())
        except Dead:
            self.died_in_flush = True
            self._died()
            self._start()
        self.disk.dies_after = None

    @rule()
    def show(self) -> None:
        if self._spool().trouble is not None:
            self._send(self._spool().show())
            self.silent = True

    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        """The store has some of what was sent, and says so."""
        self.stored |= {key for key in self.sent if key not in self.stored and data.draw(st.integers(0, 3))}
        upto = {sensor: self._contiguous(sensor) for sensor in SENSORS}
        self._spool().commit(upto)
        self.upto = upto

    @rule()
    def send_again(self) -> None:
        self._send(list(self._spool().replayable()))

    @rule()
    def sync(self) -> None:
        if not self.disk.error:
            self._spool().sync()
            self.at_risk.clear()
            self.n_durable = self._spool().n_safe

    @rule()
    def kill(self) -> None:
        self._died()
        self._start()

    @rule(cut=st.floats(0, 1))
    def lose_power(self, cut: float) -> None:
        """What was not forced to the disk is there up to any byte."""
        die(self._spool())
        self.power_was_lost = True
        self._well()
        for path in self.directory.glob("*.seg"):
            kept = self.disk.synced.get(path.stat().st_ino, 0)
            size = path.stat().st_size
            os.truncate(path, kept + int(cut * (size - kept)))
        self._forget_waiting()
        self.lost |= self.at_risk - self.stored
        self.at_risk.clear()
        self._boot()
        self._start()

    @rule(error=st.sampled_from([errno.EROFS, errno.EIO]))
    def break_disk(self, error: int) -> None:
        self.disk.error = error

    @rule(
        sensors=st.lists(st.sampled_from(SENSORS), min_size=1, max_size=5),
        error=st.sampled_from([errno.EROFS, errno.EIO]),
    )
    def send_without_the_disk(self, sensors: list[SensorId], error: int) -> None:
        self.disk.error = error
        for sensor in sensors:
            self._append(sensor, 2, 50)
        self.flush()
        self.show()

    @rule(room=st.integers(0, 2000))
    def fill_disk(self, room: int) -> None:
        self.disk.room = room

    @rule()
    def mend_disk(self) -> None:
        self._well()

    @rule()
    def restart(self) -> None:
        spool = self._spool()
        spool.close()
        if spool.trouble is not None:
            self._forget_waiting()
        else:
            self.earlier |= set(self.tickets)
            self.tickets.clear()
            self.at_risk.clear()
            self.n_durable = 0
        self._start()

    # What must hold

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.spool is None:
            return
        spool = self.spool
        kept: dict[Key, Entry] = {}
        told: dict[SensorId, list[Entry]] = {sensor: [] for sensor in SENSORS}
        for entry in spool.replayable():
            if entry.kind is EntryKind.BLOCK:
                kept[entry.sensor, entry.first] = entry
            else:
                told[entry.sensor].append(entry)
        safe = self.tickets[: spool.n_safe]
        given_up = {key for key in self.content if self._pending_gap(key)}
        for key in [*self.earlier, *safe]:
            sensor, number = key
            if key in kept:
                assert kept[key].payload == self.content[key]
            elif number > self.upto.get(sensor, -1) and key not in self.lost:
                assert key in given_up or any(e.first <= number <= e.last for e in told[sensor]), f"{key} is lost"
        if self.limits.max_bytes == AMPLE and not self.power_was_lost:
            assert not given_up
            assert not any(_gives_up(e) for entries in told.values() for e in entries), "no need"
        for sensor, entries in told.items():
            self._counted(sensor, entries, kept)

    def _counted(self, sensor: SensorId, entries: list[Entry], kept: dict[Key, Entry]) -> None:
        for entry in entries:
            if _gives_up(entry):
                keys = [(sensor, k) for k in range(entry.first, entry.last + 1)]
                if not self.died_in_flush:  # between the gap and the removal of what it stands for, both are there
                    assert not any(key in kept for key in keys), "told as lost, and sent"
                exact = all(key in self.content and key not in self.lost for key in keys)
                n = sum(self.samples.get(key, 0) for key in keys)
                known = entry.n_samples or n  # 0: of a file that was cut on a full disk, and found so at a start
                assert known == n if exact else known <= n, f"{entry} stands for {n} samples"

    @invariant()
    def bytes_are_bounded_and_known(self) -> None:
        if self.spool is None:
            return
        files = [path.stat().st_size for path in self.directory.glob("*.seg")]
        assert self.spool.n_bytes <= sum(files)
        told = 1000 + 500 * self.n_starts  # gaps are written however full it is, three at a start
        assert self.spool.n_bytes <= self.limits.max_bytes + 1000 + told

    # How it is done

    def _spool(self) -> Spool:
        assert self.spool is not None
        return self.spool

    def _start(self) -> None:
        self._well()
        self.n_starts += 1
        if self.silent:  # the disk took nothing for as long as `show` waits for
            for path in self.directory.glob("*.seg"):
                os.utime(path, (0, path.stat().st_mtime - 10))
            self.silent = False
        self.spool = Spool.open(self.directory, EDGE, InstantNs(T0), self.limits, SENSORS)
        self.next = {}
        self._send(self.spool.flush())
        for sensor, start in self.spool.starts.items():
            used = [number for (name, number) in self.sent if name == sensor]
            assert start.next_sequence > max(used, default=-1), "a number can be used a second time"

    def _died(self) -> None:
        die(self._spool())
        self._well()
        self.disk.dies_after = None
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        """What was not on the disk is gone: it was not acknowledged."""
        safe = self.tickets[: self._spool().n_safe]
        told = [key for key in safe if not self._pending_gap(key)]
        self.earlier |= set(told)
        self.at_risk |= set(told) - set(self.tickets[: self.n_durable])
        for key in set(self.tickets) - set(told):
            if key not in self.sent:
                del self.content[key]  # it may be on the disk all the same, if the process died on its way back
            elif key not in self.stored:
                self.lost.add(key)
        self.tickets.clear()
        self.n_durable = 0

    def _boot(self) -> None:
        self.boots += 1
        name = f"boot-{self.boots}"
        marks._boot_id = lambda: name

    def _well(self) -> None:
        self.disk.error = 0
        self.disk.room = None

    def _send(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.BLOCK:
                key = (entry.sensor, entry.first)
                assert self.sent.setdefault(key, entry.payload) == entry.payload
            else:
                self.gaps_sent.append(entry)

    def _contiguous(self, sensor: SensorId) -> int:
        covered = {number for name, number in self.stored if name == sensor}
        for entry in self.gaps_sent:
            if entry.sensor == sensor:
                covered |= set(range(entry.first, entry.last + 1))
        upto = -1
        while upto + 1 in covered:
            upto += 1
        return upto

    def _pending_gap(self, key: Key) -> bool:
        spans = self._spool()._journal._given_up._spans.get(key[0], ())
        return any(span.first <= key[1] <= span.last for span in spans)


def _gives_up(entry: Entry) -> bool:
    record = wire.decode(entry.payload)
    return isinstance(record, GapRecord) and record.gap.cause in (GapCause.SPOOL_CAPPED, GapCause.SPOOL_DAMAGED)


SpoolMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # a failure of this machine takes minutes to shrink
    suppress_health_check=list(HealthCheck),
)
TestSpool = SpoolMachine.TestCase

if __name__ == "__main__":  # many more: python -m tests.unit.edge_agent.spool.test_model 2000
    MANY = settings(SpoolMachine.TestCase.settings, max_examples=int(sys.argv[1]), derandomize=False)
    run_state_machine_as_test(SpoolMachine, settings=MANY)
