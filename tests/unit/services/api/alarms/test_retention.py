"""How long the history of alarms is kept."""

from __future__ import annotations

from dyncal.domain.time import NS_PER_S, DurationNs, duration
from dyncal.runtime.clocks import SimulatedClock
from services.api.alarms.retention import HistoryKeeper
from tests.unit.services.api.conftest import Api
from tests.unit.services.api.routers.test_alarms import report, wait

DAY_S = 86_400


async def test_history_is_forgotten_after_its_days_and_figures_say_of_what_they_are(api: Api) -> None:
    begun = api.clock.now()
    for _ in range(4):
        report(api)
        report(api, holds=False)
        wait(api, DAY_S)
    keeper = HistoryKeeper(api.registry, api.clock, 2)
    asked = f"/v1/alarms/kpis?from={begun}"
    before = (await api.http.get(asked)).json()
    assert (before["from_ns"], before["history_from_ns"], before["n_annunciated"]) == (begun, None, 4)
    assert keeper.forget() == 4
    assert keeper.forget() == 0
    whole_from = (api.clock.now() - duration(2.0 * DAY_S)) // duration(DAY_S) * duration(DAY_S)
    after = (await api.http.get(asked)).json()
    assert (after["from_ns"], after["history_from_ns"], after["n_annunciated"]) == (whole_from, whole_from, 2)
    hours = (api.clock.now() - whole_from) / NS_PER_S / 3600
    assert abs(after["per_operator_hour"] - 2 / hours) < 1e-9
    forgotten = f"/v1/alarms/kpis?from={begun}&to={begun + 5}"
    assert (await api.http.get(forgotten)).status_code == 422
    page = (await api.http.get("/v1/alarms/history")).json()
    assert (len(page["items"]), page["history_from_ns"]) == (4, whole_from)
    assert (await api.http.get("/v1/alarms")).json()["n_total"] == 1
    assert [entry.subject for entry in api.registry.audit() if entry.action == "alarm_history.forgotten"] == ["1 to 4"]


async def test_a_clock_that_was_set_forgets_nothing(api: Api) -> None:
    report(api)

    class Set(SimulatedClock):
        """Was a year behind, or is a year ahead: nobody knows."""

        def monotonic_s(self) -> float:
            return 0.0

    clock = Set(api.clock.now())
    keeper = HistoryKeeper(api.registry, clock, 1)
    clock.advance(DurationNs(365 * DAY_S * NS_PER_S))
    assert keeper.forget() == 0
    assert HistoryKeeper(api.registry, clock, 1).forget() == 1


async def test_without_a_setting_it_is_kept_for_ever(api: Api) -> None:
    await HistoryKeeper(api.registry, api.clock, 0).run()
