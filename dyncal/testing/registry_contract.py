"""What every registry must do: a pytest suite for authors of adapters.

Derive from `RegistryContract`, and give a fixture ``open_it``: a function that opens the *same*, at first empty,
registry each time it is called, and whose registries are closed at the end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import (
    CorrectionSmoother,
    MeasurandPrior,
    SetState,
)
from dyncal.domain.errors import Conflict, NotFound, StoreUnavailable
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.registry import Registry
from dyncal.testing.registry import (
    S1,
    S2,
    T0,
    OpenRegistry,
    act,
    make_alarm,
    make_calibration,
    make_pairing,
    make_sensor,
    make_set,
    put_alarm,
)


class RegistryContract:
    """The suite."""

    @pytest.fixture
    def registry(self, open_it: OpenRegistry) -> Registry:
        """Give an empty registry."""
        return open_it()

    def test_sensors_come_back_and_unchanged_ones_are_no_change(self, registry: Registry) -> None:
        before = registry.revision()
        assert registry.put_sensors([make_sensor(S2), make_sensor(S1)], [make_pairing()], act())
        assert registry.sensors() == [make_sensor(S1), make_sensor(S2)]
        assert registry.sensor(S1) == make_sensor(S1)
        assert registry.pairings() == [make_pairing()]
        after, trail = registry.revision(), len(registry.audit())
        assert after > before
        assert not registry.put_sensors([make_sensor(S1)], [make_pairing()], act(1))
        assert (registry.revision(), len(registry.audit())) == (after, trail)
        assert registry.put_sensors([make_sensor(S1, unit="K")], [], act(2))
        assert registry.sensor(S1).unit == "K"
        assert registry.revision() > after

    def test_a_birth_of_many_audits_each_change_once(self, registry: Registry) -> None:
        registry.put_sensors([make_sensor(S2, unit="K"), make_sensor(S1)], [], act())
        before = registry.audit()[-1].number
        names = [S2, SensorId("x-1"), S1, SensorId("x-2"), SensorId("x-1")]
        sensors = [make_sensor(name) for name in names[:4]] + [make_sensor(SensorId("x-1"), unit="K")]
        assert registry.put_sensors(sensors, [make_pairing(), make_pairing()], act(1))
        assert [(entry.action, entry.subject) for entry in registry.audit(after=before)] == [
            ("sensor.put", S2),
            ("sensor.put", "x-1"),
            ("sensor.put", "x-2"),
            ("sensor.put", "x-1"),
            ("pairing.put", S1),
        ]
        assert registry.verify_audit() is None
        assert registry.sensor(S2) == make_sensor(S2)
        assert registry.sensor(SensorId("x-1")).unit == "K"  # the later one of the two

    def test_a_pairing_can_be_removed(self, registry: Registry) -> None:
        registry.put_sensors([make_sensor(S1)], [make_pairing()], act())
        before = registry.revision()
        registry.remove_pairing(S1, act(1, "sold"))
        assert registry.pairings() == []
        assert registry.revision() > before
        assert registry.audit()[-1].reason == "sold"
        with pytest.raises(NotFound):
            registry.remove_pairing(S1, act(2))
        with pytest.raises(NotFound):
            registry.sensor(SensorId("nobody"))

    def test_calibrations_come_back_to_the_last_bit(self, registry: Registry) -> None:
        given = make_calibration()
        registry.add_calibration(given, act())
        found = registry.calibration("cal-1")
        assert found.parameters.values.tobytes() == given.parameters.values.tobytes()
        assert found.parameters.cov.tobytes() == given.parameters.cov.tobytes()
        assert found.parameters.cov.shape == (2, 2)
        assert np.isnan(found.whiteness_p)
        assert (found.noise_std, found.unobservable, found.conformity) == (0.1 + 0.2, ("damping",), given.conformity)
        assert (found.verdict, found.detail, found.fitted_at_ns) == (Verdict.ACCEPTED, "naïve", given.fitted_at_ns)
        with pytest.raises(NotFound):
            registry.calibration("cal-2")

    def test_calibrations_are_paged_newest_first(self, registry: Registry) -> None:
        for k in range(5):
            registry.add_calibration(make_calibration(f"cal-{k}", S1 if k % 2 else S2, k), act(k))
        assert [c.id for c in registry.calibrations()] == ["cal-4", "cal-3", "cal-2", "cal-1", "cal-0"]
        assert [c.id for c in registry.calibrations(S1)] == ["cal-3", "cal-1"]
        assert [c.id for c in registry.calibrations(before=act(3).at_ns, limit=2)] == ["cal-2", "cal-1"]

    def test_no_calibration_of_equal_instant_is_lost_between_pages(self, registry: Registry) -> None:
        for name in ("b", "d", "a", "c"):
            registry.add_calibration(make_calibration(name, S1, 1), act(1))
        registry.add_calibration(make_calibration("e", S1, 0), act(2))
        assert [c.id for c in registry.calibrations(limit=2)] == ["d", "c"]
        assert [c.id for c in registry.calibrations(before=act(1).at_ns, before_id="c", limit=2)] == ["b", "a"]
        assert [c.id for c in registry.calibrations(before=act(1).at_ns, before_id="a")] == ["e"]
        assert [c.id for c in registry.calibrations(before=act(1).at_ns)] == ["e"]

    def test_an_id_belongs_to_one_calibration(self, registry: Registry) -> None:
        registry.add_calibration(make_calibration(), act())
        registry.add_calibration(make_calibration(), act(1))
        with pytest.raises(Conflict):
            registry.add_calibration(make_calibration(k=3), act(2))
        assert len(registry.calibrations()) == 1

    def test_sets_keep_their_envelope_and_their_numbers(self, registry: Registry) -> None:
        given, envelope = make_set(), b'{"set": "\xc5\x81",\n "v":1}\x00\xff'
        registry.add_set(given, envelope, SetState.PUBLISHED, act(reason="first"))
        found = registry.coefficient_set(given.id)
        assert found.envelope == envelope
        assert (found.state, found.reason, found.changed_ns) == (SetState.PUBLISHED, "first", act().at_ns)
        f, g = found.coefficients.filter, given.filter
        assert f.fir.tobytes() == g.fir.tobytes()
        assert f.sensitivities.tobytes() == g.sensitivities.tobytes()
        assert f.sos.shape == (0, 6)
        assert found.coefficients.gain_limits == (0.9, 1.1)
        assert found.coefficients.provenance == given.provenance

    def test_sets_with_a_smoother_come_back_as_they_were(self, registry: Registry) -> None:
        smoother = CorrectionSmoother(
            DurationNs(100_000_000), DurationNs(1_234_567_890), MeasurandPrior.BUTTERWORTH, 0.1 / 3, 2.0, 4, 0.01, 0.3
        )
        registry.add_set(replace(make_set(), correction=smoother), b"1", SetState.PUBLISHED, act())
        assert registry.coefficient_set(make_set().id).coefficients.correction == smoother

    def test_ids_and_sequences_of_sets_are_unique(self, registry: Registry) -> None:
        registry.add_set(make_set(1), b"1", SetState.PUBLISHED, act())
        before = registry.sets_revision()
        for clash in (make_set(1), make_set(1, S1)):
            with pytest.raises(Conflict):
                registry.add_set(clash, b"2", SetState.PUBLISHED, act(1))
        assert registry.sets_revision() == before
        registry.add_set(make_set(1, S2), b"3", SetState.PUBLISHED, act(2))
        assert registry.sets_revision() > before

    def test_the_life_of_sets(self, registry: Registry) -> None:
        assert registry.desired_set(S1) is None
        assert registry.last_sequence(S1) == 0
        for k in (1, 2, 3):
            registry.add_set(make_set(k), b"e%d" % k, SetState.PUBLISHED, act(k))
        assert self._states(registry) == {3: "published", 2: "published", 1: "published"}
        registry.set_state("tc-1-1", SetState.ACTIVE, act(4))
        desired = registry.desired_set(S1)
        assert desired is not None
        assert desired.coefficients.sequence == 3
        registry.set_state("tc-1-3", SetState.ACTIVE, act(5, "applied"))
        assert self._states(registry) == {3: "active", 2: "superseded", 1: "superseded"}
        registry.set_state("tc-1-3", SetState.REVERTED, act(6, "residual"))
        assert registry.coefficient_set("tc-1-3").reason == "residual"
        assert registry.desired_set(S1) is None
        assert registry.last_sequence(S1) == 3
        assert [r.coefficients.sequence for r in registry.sets(S1, limit=2)] == [3, 2]
        assert [r.coefficients.sequence for r in registry.sets(state=SetState.SUPERSEDED)] == [2, 1]
        assert [r.coefficients.sequence for r in registry.sets(after=(S1, 2))] == [1]
        assert registry.sets(after=(S1, 1)) == []
        assert [r.coefficients.sequence for r in registry.sets(after=(SensorId("tc"), 1), limit=2)] == [3, 2]
        with pytest.raises(NotFound):
            registry.set_state("tc-9-1", SetState.ACTIVE, act(7))
        with pytest.raises(NotFound):
            registry.coefficient_set("tc-9-1")

    def test_what_all_sensors_should_run_in_one_question(self, registry: Registry) -> None:
        assert registry.desired_ids() == {}
        for k, sensor in ((1, S1), (2, S1), (3, S1), (1, S2)):
            registry.add_set(make_set(k, sensor), b"%d %s" % (k, sensor.encode()), SetState.PUBLISHED, act(k))
        registry.set_state(make_set(3, S1).id, SetState.REJECTED, act(4))
        wanted = {S1: make_set(2, S1).id, S2: make_set(1, S2).id}
        assert registry.desired_ids() == wanted
        assert registry.envelopes([*wanted.values(), "nobody"]) == {
            wanted[S1]: b"2 " + S1.encode(),
            wanted[S2]: b"1 " + S2.encode(),
        }
        assert registry.envelopes([]) == {}

    def _states(self, registry: Registry) -> dict[int, str]:
        return {r.coefficients.sequence: str(r.state) for r in registry.sets(S1)}

    def test_snapshots_are_replaced_and_not_audited(self, registry: Registry) -> None:
        assert registry.load_snapshot("engine") is None
        for content in (b"one", bytes(range(256)) * 1000):
            registry.save_snapshot("engine", content, InstantNs(T0))
        assert registry.load_snapshot("engine") == bytes(range(256)) * 1000
        assert registry.audit() == []

    def test_a_snapshot_that_somebody_acts_on_is_audited_and_must_be_as_it_was_seen(self, registry: Registry) -> None:
        registry.put_snapshot("sources.e1", b"one", None, act(1, "why"), "sources.set")
        registry.put_snapshot("sources.e1", b"two", b"one", act(2), "sources.set")
        for before in (None, b"one"):
            with pytest.raises(Conflict, match=r"sources\.e1"):
                registry.put_snapshot("sources.e1", b"three", before, act(3), "sources.set")
        assert registry.load_snapshot("sources.e1") == b"two"
        entries = registry.audit()
        assert [(entry.action, entry.subject, entry.reason) for entry in entries] == [
            ("sources.set", "sources.e1", "why"),
            ("sources.set", "sources.e1", act(2).reason),
        ]
        assert registry.verify_audit() is None

    def test_every_change_is_in_the_trail_and_the_chain_holds(self, registry: Registry) -> None:
        assert registry.verify_audit() is None
        registry.put_sensors([make_sensor()], [make_pairing()], act())
        registry.add_calibration(make_calibration(), act(1))
        registry.add_set(make_set(), b"e", SetState.PUBLISHED, act(2, "naïve \u2028"))
        registry.set_state("tc-1-1", SetState.ACTIVE, act(3))
        put_alarm(registry, make_alarm(), act(4))
        trail = registry.audit()
        assert [e.number for e in trail] == list(range(1, len(trail) + 1))
        assert [(e.action, e.subject) for e in trail] == [
            ("sensor.put", "tc-1"),
            ("pairing.put", "tc-1"),
            ("calibration.add", "cal-1"),
            ("set.published", "tc-1-1"),
            ("set.active", "tc-1-1"),
            ("alarm.raised", "tc-1:drift"),
        ]
        assert {e.actor for e in trail} == {"tester"}
        assert len({e.digest for e in trail}) == len(trail)
        assert registry.audit(after=2, limit=2) == trail[2:4]
        assert registry.verify_audit() is None

    def test_a_change_that_fails_leaves_nothing(self, registry: Registry) -> None:
        registry.add_set(make_set(1), b"1", SetState.PUBLISHED, act())
        trail = registry.audit()
        with pytest.raises(Conflict):
            registry.add_set(make_set(1), b"2", SetState.ACTIVE, act(1))
        assert registry.audit() == trail
        assert registry.verify_audit() is None

    def test_many_writers_make_one_chain(self, open_it: OpenRegistry) -> None:
        registries = [open_it(), open_it()]

        def write(k: int) -> None:
            put_alarm(registries[k % 2], make_alarm(k=k, sensor=SensorId(f"s{k % 5}")), act(k))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(40)))
        assert len(registries[0].audit()) == 40
        assert registries[1].verify_audit() is None

    def test_it_is_all_there_after_opening_again(self, open_it: OpenRegistry) -> None:
        first = open_it()
        first.put_sensors([make_sensor()], [make_pairing()], act())
        first.add_set(make_set(), b"e", SetState.PUBLISHED, act())
        first.close()
        first.close()
        with pytest.raises(StoreUnavailable):
            first.sensors()
        again = open_it()
        assert again.sensors() == [make_sensor()]
        assert again.coefficient_set("tc-1-1").envelope == b"e"
        assert again.check()
        assert again.verify_audit() is None
