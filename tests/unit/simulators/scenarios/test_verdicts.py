"""What is held against a system, and what is not: each conclusion, with records made up for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.replay import Effects
from simulators.replay.effects import AlarmFound, GapFound, SetFound, Standing
from simulators.scenarios.scenario import Scenario, load_scenario
from simulators.scenarios.verdicts import judge

T0 = 1_790_000_000_000_000_000


def at(since_s: float) -> int:
    return T0 + round(since_s * 1e9)


def one_set() -> SetFound:
    return SetFound("S", "S.1", 1, "active", at(20), "first_order", ("tau_s",), (0.7,), (0.01,), "filter", 0, 1.0)


def alarm(kind: str, since_s: float, parameter: str = "") -> AlarmFound:
    return AlarmFound("S", kind, True, at(since_s), parameter)


def stands(watch: str, since_s: float, *, parameter: str = "", cause: str = "", reason: str = "") -> Standing:
    return Standing("S", at(since_s), watch, reason, parameter, None, None, cause)


def scenario(tmp_path: Path, expect: str, more: str = "") -> Scenario:
    file = tmp_path / "s.toml"
    file.write_text(
        f"""name = "s"
seed = 1
lasts_s = 300
[[stations]]
id = "S"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = {{ gain = 1.0, tau_s = 0.7 }}
rate_hz = 20
measurand = {{ rms = 6.0, band_hz = 0.8 }}
expect = {{ {expect} }}
{more}
""",
        encoding="utf-8",
    )
    return load_scenario(file)


def effects(*found: SetFound | AlarmFound | Standing | GapFound) -> Effects:
    def of(kind: type) -> tuple[object, ...]:
        return tuple(item for item in found if isinstance(item, kind))

    return Effects(
        source="s", from_ns=T0, to_ns=at(300), complete=True, settings={}, sets=of(SetFound), reports=(),  # type: ignore[arg-type]
        alarms=of(AlarmFound), standing=of(Standing), gaps=of(GapFound), notices=(), samples=(), n_quarantined=0,  # type: ignore[arg-type]
        digests={}, digest="",
    )  # fmt: skip


DRIFTS = 'drift = [{ parameter = "tau_s", from_s = 100, to_s = 120, factor = 1.5 }]'
JUMPS = "converter = { shifts = [{ at_s = 100, by = 1.0 }] }"
LOST = "reference = { transport = { silent = [{ from_s = 100, to_s = 200 }] } }"
GAP = GapFound("S", at(1), at(2), "source_silent")
CONTRA = 'conclusion = "contradiction"'
AWAY = "reference_lost"
WENT = 'conclusion = "reference_lost"'
HEALTHY = 'conclusion = "healthy"'
DRIFT = 'conclusion = "drift", within_s = 50'
BLAMED = stands("drift", 150, parameter="tau_s", cause="sensor")

CASES = [
    ("healthy", HEALTHY, "", [one_set()], ""),
    ("no set", HEALTHY, "", [], "0 coefficient sets"),
    ("a set is not needed", HEALTHY + ", min_sets = 0", "", [], ""),
    ("a false alarm", HEALTHY, "", [one_set(), alarm("drift", 90, "tau_s")], "alarm drift of tau_s at 90 s"),
    ("taken back", HEALTHY, "", [one_set(), alarm("correction_reverted", 90)], "correction_reverted at 90 s"),
    ("in time", DRIFT, DRIFTS, [one_set(), alarm("drift", 140, "tau_s")], ""),
    ("said by the watch alone", DRIFT, DRIFTS, [one_set(), stands("drift", 140, parameter="tau_s")], ""),
    ("late", DRIFT, DRIFTS, [one_set(), alarm("drift", 160, "tau_s")], "said 60 s after it began"),
    ("early", DRIFT, DRIFTS, [one_set(), alarm("drift", 90), alarm("drift", 140, "tau_s")], "before the"),
    ("another parameter", DRIFT, DRIFTS, [one_set(), alarm("drift", 140, "gain")], "a drift of gain, expected tau_s"),
    ("nothing", DRIFT, DRIFTS, [one_set()], "no drift alarm"),
    ("the cause", DRIFT + ', causes = ["reference"]', DRIFTS, [one_set(), alarm("drift", 140), BLAMED], "sensor is"),
    ("a contradiction", CONTRA, JUMPS, [one_set(), alarm("drift", 140)], ""),
    ("told by the watch", CONTRA, JUMPS, [one_set(), stands("cannot_tell", 140)], ""),
    ("passed over", CONTRA, JUMPS, [one_set()], "nothing was said"),
    ("named", CONTRA, JUMPS, [one_set(), alarm("drift", 140, "gain")], "a parameter was named"),
    ("not blamed", 'conclusion = "process"', DRIFTS, [one_set(), stands("drift", 150, cause="process")], ""),
    ("blamed", 'conclusion = "process"', DRIFTS, [one_set(), BLAMED], "blamed at 150 s"),
    ("the reference", 'conclusion = "reference"', "", [one_set(), stands("drift", 150, cause="reference")], ""),
    ("silence", 'conclusion = "reference"', "", [one_set()], "nothing was said"),
    ("lost", WENT + ", within_s = 30", LOST, [one_set(), alarm(AWAY, 120)], ""),
    ("lost late", WENT + ", within_s = 30", LOST, [one_set(), alarm(AWAY, 140)], "in time"),
    ("not lost", WENT, LOST, [one_set()], "not said"),
    ("too soon", WENT, LOST, [one_set(), alarm(AWAY, 40), alarm(AWAY, 110)], "before"),
    ("cannot tell", 'conclusion = "cannot_tell"', "", [stands("cannot_tell", 9, reason="it stands still")], ""),
    ("no reason", 'conclusion = "cannot_tell"', "", [stands("cannot_tell", 9)], "without a reason"),
    ("invented", 'conclusion = "cannot_tell"', "", [one_set(), stands("cannot_tell", 9, reason="r")], "expected none"),
    ("sure", 'conclusion = "cannot_tell"', "", [stands("in_control", 9)], "in the end: in_control"),
    ("refused", 'conclusion = "refused"', "", [], ""),
    ("whatever", 'conclusion = "any"', "", [alarm("drift", 1)], ""),
    ("a gap", HEALTHY + ', gaps = ["source_silent"]', "", [one_set(), GAP], ""),
    ("no gap", HEALTHY + ', gaps = ["source_silent"]', "", [one_set()], "no gap on record by source_silent"),
]  # fmt: skip


@pytest.mark.parametrize(("expect", "more", "found", "wrong"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_verdict(
    tmp_path: Path, expect: str, more: str, found: list[SetFound | AlarmFound | Standing | GapFound], wrong: str
) -> None:
    (verdict,) = judge(scenario(tmp_path, expect, more), effects(*found), {})
    assert verdict.ok == (not wrong), verdict
    assert wrong in "; ".join(verdict.wrong)


def test_a_gain_is_asked_where_it_was_looked_at(tmp_path: Path) -> None:
    wanted = scenario(tmp_path, HEALTHY + ", min_gain = 4")
    for gain, right in ((5.0, True), (3.0, False), (None, False)):
        (verdict,) = judge(wanted, effects(one_set()), {"S": gain})
        assert verdict.ok == right
