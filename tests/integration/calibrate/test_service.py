"""The calibration service on a broker in the process, a SQLite registry and a SQLite store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.signing import open_verifier
from dyncal.adapters.stores import open_store
from dyncal.contracts import coefficients, conditions
from dyncal.correction.safety import check
from dyncal.correction.streaming.record import correct
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.coefficients import Outcome, Report, SetState
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import duration
from dyncal.models import paired_model
from dyncal.ports.records import Act
from dyncal.runtime.settings import SigningSettings, StoreSettings
from dyncal.testing.bus import FakeBroker
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSection, CalibrateSettings
from tests.unit.services.calibrate.plant import Plant

from .conftest import ADDRESS, Stage, make_plant, running, until

S1 = SensorId("s1")
CLIENT = "calibrate"


def make_service(stage: Stage, broker: FakeBroker) -> CalibrateService:
    settings = CalibrateSettings(data_dir=stage.directory, calibrate=CalibrateSection(poll_s=0.05))
    return CalibrateService(settings, stage.clock, lambda: broker.bus(CLIENT))


def applied(stage: Stage, set_id: str, sequence: int, outcome: Outcome = Outcome.APPLIED) -> bytes:
    return coefficients.encode_report(Report(S1, set_id, sequence, outcome, stage.clock.now(), "because"))


async def test_samples_in_a_signed_set_out_and_the_report_makes_it_active(tmp_path: Path) -> None:
    stage, broker = Stage.set_up(tmp_path, make_plant(20)), FakeBroker()
    async with running(make_service(stage, broker)) as service:
        await stage.feed(broker.publish, 0, 20)
        await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")
        await until(lambda: broker.unacknowledged(CLIENT) == 0, "all is acknowledged")
        payload = broker.retained[ADDRESS.desired(S1)]
        envelope = coefficients.read_envelope(payload)
        verifier = open_verifier(SigningSettings(), tmp_path)
        assert verifier.verify(envelope.key_id, envelope.set.encode(), coefficients.signature_bytes(envelope))
        made = coefficients.open_set(envelope.set)
        with stage.registry() as registry:
            record = registry.desired_set(S1)
            assert record is not None
            assert (record.state, record.envelope) == (SetState.PUBLISHED, payload)
            assert registry.calibration(made.provenance.calibration_id).conformity is not None
            report = applied(stage, made.id, made.sequence)
            broker.publish(ADDRESS.reported(S1), report, retain=True)
            await until(lambda: registry.coefficient_set(made.id).state is SetState.ACTIVE, "active")
            trail = len(registry.audit())
            broker.publish(ADDRESS.reported(S1), report, retain=True)
            await until(lambda: broker.unacknowledged(CLIENT) == 0, "the repetition is acknowledged")
            assert len(registry.audit()) == trail
            broker.publish(ADDRESS.reported(S1), applied(stage, made.id, made.sequence, Outcome.REVERTED), retain=True)
            topic = f"dyncal/v1/plant/conditions/s1/{AlarmKind.CORRECTION_REVERTED}"
            await until(lambda: topic in broker.retained, "a condition")
            condition, said = conditions.decode(topic, broker.retained[topic])
            assert condition.holds
            assert said.reporter == "calibrate"
            assert "dyncal/v1/plant/reporters/calibrate" in broker.retained
            assert registry.alarms() == []  # alarms are the API's
            assert registry.verify_audit() is None
        assert service.health().ready
    with stage.registry() as registry:
        assert registry.load_snapshot("calibrate/s1") is not None


def of_dead_time() -> Plant:
    theta = (1.0, 0.4, 0.23)
    return Plant(ModelKind.FIRST_ORDER, [(0, theta)], 0.05, 1.5, 40.0, block=4, dead_time=True)


def of_third_order() -> Plant:
    theta = (1.0, 0.590986, 0.101722, 0.010132)
    return Plant(ModelKind.RATIONAL, [(0, theta)], 0.05, 1.5, 40.0, block=4, n_poles=3)


@pytest.mark.parametrize("plant", [of_dead_time(), of_third_order()], ids=["dead time", "third order"])
async def test_models_beyond_the_online_estimator_go_the_whole_way(tmp_path: Path, plant: Plant) -> None:
    stage, broker = Stage.set_up(tmp_path, plant), FakeBroker()
    async with running(make_service(stage, broker)):
        await stage.feed(broker.publish, 0, 40)
        await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")
        await until(lambda: broker.unacknowledged(CLIENT) == 0, "all is acknowledged")
    made = coefficients.open_set(coefficients.read_envelope(broker.retained[ADDRESS.desired(S1)]).set)
    check(made, dt_ns=plant.dt_ns)
    value, u = correct(made.filter, made.parameters, plant.raw)
    later = np.isfinite(value) & (plant.t_ns > made.provenance.window_to_ns)
    error = (value - plant.truth)[later]
    assert np.std(error) < 0.1 * np.std((plant.raw - plant.truth)[later])
    assert np.mean(np.abs(error) < 2 * u[later]) > 0.9
    with stage.registry() as registry:
        calibration = registry.calibration(made.provenance.calibration_id)
        assert calibration.parameters.names == paired_model(plant.pairing).names
        assert "record fits" in calibration.method


async def test_a_restart_reads_what_it_missed_and_goes_on(tmp_path: Path) -> None:
    stage, broker = Stage.set_up(tmp_path, make_plant(60)), FakeBroker()
    async with running(make_service(stage, broker)):
        await stage.feed(broker.publish, 0, 20)
        await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")
        await until(lambda: broker.unacknowledged(CLIENT) == 0, "all is acknowledged")
    store = open_store(StoreSettings(), tmp_path)
    store.write([event.record for _, event in stage.plant.events(0, 40)])
    store.close()
    stage.clock.instant = stage.plant.at(40)
    service = make_service(stage, broker)
    async with running(service):
        pass
    with stage.registry() as registry:
        sets = registry.sets(S1)
        assert not any(r.reason.startswith("first set") for r in sets[:-1])
        assert sets[-1].reason.startswith("first set")
        before = len(sets)
    samples = service.metrics.registry.get_sample_value("dyncal_calibrate_notes_total", {"kind": "not_caught_up"})
    assert not samples
    # What the store has is not taken in twice: the same again changes nothing.
    async with running(make_service(stage, broker)):
        await stage.feed(broker.publish, 0, 40)
        await until(lambda: broker.unacknowledged(CLIENT) == 0, "all is acknowledged")
    with stage.registry() as registry:
        assert len(registry.sets(S1)) == before


async def test_it_says_again_what_a_broker_may_have_lost(tmp_path: Path) -> None:
    stage, broker = Stage.set_up(tmp_path, make_plant(20)), FakeBroker()
    async with running(make_service(stage, broker)) as service:
        await stage.feed(broker.publish, 0, 20)
        await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")
        payload = broker.retained[ADDRESS.desired(S1)]
        broker.cut()
        await until(lambda: not service.health().ready, "the broker is missed")
        broker.retained.clear()
        broker.restore()
        await until(lambda: broker.retained.get(ADDRESS.desired(S1)) == payload, "it is said again")
        await until(lambda: service.health().ready, "ready again")


async def test_whatever_comes_the_service_goes_on(tmp_path: Path) -> None:
    stage, broker = Stage.set_up(tmp_path, make_plant(20)), FakeBroker()
    async with running(make_service(stage, broker)) as service:
        for topic in (ADDRESS.samples(S1), ADDRESS.reported(S1), ADDRESS.status):
            for payload in (b"", b"\x00", b"{}", b"\xff" * 1000, b"[" * 100_000, bytes(5 << 20)):
                broker.publish(topic, payload)
        await stage.feed(broker.publish, 0, 20)
        await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")
        counted = service.metrics.registry.get_sample_value("dyncal_calibrate_notes_total", {"kind": "malformed"})
        assert counted == 15
        assert service.health().ready


async def test_a_pairing_that_is_made_later_is_followed(tmp_path: Path) -> None:
    stage, broker = Stage.set_up(tmp_path, make_plant(20)), FakeBroker()
    with stage.registry() as registry:
        registry.remove_pairing(S1, _act(stage))
        async with running(make_service(stage, broker)) as service:
            registry.put_sensors([], [stage.plant.pairing], _act(stage))
            stage.clock.advance(duration(1.0))
            pairings = "dyncal_calibrate_pairings"
            await until(lambda: service.metrics.registry.get_sample_value(pairings) == 1, "followed")
            await stage.feed(broker.publish, 0, 20)
            await until(lambda: ADDRESS.desired(S1) in broker.retained, "a set is desired")


async def test_a_signing_key_that_is_none_ends_it_with_its_name(tmp_path: Path) -> None:
    stage = Stage.set_up(tmp_path, make_plant(1))
    (tmp_path / "keys").mkdir()
    key = tmp_path / "keys" / "signing.pem"
    key.write_text("no key")
    key.chmod(0o600)
    with pytest.raises(InvalidSetting, match=r"signing\.pem"):
        async with running(make_service(stage, FakeBroker())):
            pass


def _act(stage: Stage) -> Act:
    return Act("test", stage.clock.now())
