from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.drift.stored import VERSION
from tests.unit.drift.blocks import NAMES, Source, watch

# three blocks, as the first form wrote them: a baseline that freezes, and cumulative sums
FIRST_FORM = (
    "iluI0ZDn(kq-SAiZl!c#bzgI+b7gdNX>Mn8hpS<7Y%pJ9Y;R+0bIU;ZY5)KL005<PXlZ72%Rle{000000IzIiVRCM1Zf9R&Y;R+0a|W+;a$#w1"
    "X>Mm<Vr*|?Yje!Vu5D><X>E0FUt?%tZf9l7KdG6SnVFfIuWe~=X>E0FUt?%tZf9k4kgREBY-L|zW^`q8UvtYqg1`U(00021X>Mk3a&2LBX>V?l"
    "lFLB=7~u{O;SbBe(@_o(;SLaz%fQo74iMoE5X(T|7~u{O;SQ#DWn*-2a+1qH{8k}_8N9*EK)PG#;hCq=p>6}FV`yP=baRr1qIGbErFLO#b!E#x"
    "!{{3#@_}Heb7^j4WnXS{&j0`b0cD`P0H$|kX=iA3%Ru9Z000001Ey_nZDnqB%RpsLI3T$Y?51;ZbzyR4%Ru9Z000001EgeccW#BHc42IFWy=5n"
    "00000005|SX>Ma>Uv6^%rgvp&XJ~ZG0000000000rfqL+Wo~rK0000000000rgL$1VRB{50000000000t!`grX=Y|+a%FB~Wpe<lb9HTBb8&TH"
    "a%FSN0000000000rebAgZ*pbJKjiub$h@Ffr)*(#V`yb$!iJ)CaD}CIVQh6}%K!iX000000H||mZewL%ZgT*pcV%g3XmrZ}000000001{ZEtO5"
    "Zgk54000000001{b8&THa%IZ^000000001_WN&wFg{5|3Y;|SJ0000000000sB>v<V`X1%a{#7yWoc(<bjtt$00000005?KZ*666bjtt$00000"
    "005?QadlyGWy=5n00000006CSUu0=!W@U0^ZewM00IPF#ZC`V7bzyR4bISk#00000005?9WoB=3Wy?R*G%|TC2T7-FVRU0?Wn{vob97;JWvFar"
    "VRCM1ZfB@-X>Ma>Uv6{GcQup%t7&d#Z*pyAWM6J`&j0`b0cD`P0H=0ka&u{KZUF"
)


def plain(data: bytes) -> dict[str, Any]:
    return dict(msgspec.msgpack.decode(data))


def test_a_restored_monitor_goes_on_the_same() -> None:
    for seed, before, tau in ((7, 25, 0.9), (8, 3, 0.8), (9, 400, 0.82), (10, 0, 0.8)):
        source, monitor = Source(seed), DriftMonitor(NAMES)
        watch(monitor, [source.block() for _ in range(before)])
        restored = DriftMonitor.restore(monitor.snapshot())
        assert restored.notice == ""
        blocks = [source.block((1.0, tau)) for _ in range(25)]
        assert repr(watch(monitor, blocks)) == repr(watch(restored, blocks))  # NaN equals NaN by its text
        assert restored.snapshot() == monitor.snapshot()


def test_a_drift_that_stands_and_a_block_held_back_are_kept() -> None:
    source, monitor = Source(3), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(60)])
    monitor.update(source.block((1.0, 2.0)))
    assert plain(monitor.snapshot())["held"] is not None
    restored = DriftMonitor.restore(monitor.snapshot())
    for _ in range(8):
        block = source.block((1.0, 2.0))
        assert repr(monitor.update(block)) == repr(restored.update(block))
    assert plain(monitor.snapshot())["found"] is not None
    again = DriftMonitor.restore(monitor.snapshot())
    block = source.block((1.0, 2.0))
    assert repr(again.update(block)) == repr(monitor.update(block))
    assert again.update(source.idle(1)).state is DriftState.DRIFT


def test_settings_given_hold_instead_of_its_own() -> None:
    source, monitor = Source(4), DriftMonitor(NAMES, DriftSettings(minimum_change=0.5))
    watch(monitor, [source.block() for _ in range(60)])
    eager = DriftMonitor.restore(monitor.snapshot(), DriftSettings(minimum_change=0.01))
    assert DriftMonitor.restore(monitor.snapshot()).settings == monitor.settings
    blocks = [source.block((1.0, 0.9)) for _ in range(10)]
    assert watch(monitor, blocks)[-1].state is DriftState.IN_CONTROL
    assert watch(eager, blocks)[-1].state is DriftState.DRIFT


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_begins_anew_and_says_so(version: int) -> None:
    old = base64.b85decode(FIRST_FORM)
    assert plain(old)["version"] == 1
    data = msgspec.msgpack.encode(plain(old) | {"version": version})
    settings = DriftSettings(arl0_blocks=500)
    monitor = DriftMonitor.restore(data, settings)
    assert f"version {version}" in monitor.notice
    assert f"reads {VERSION}" in monitor.notice
    assert monitor.settings == settings
    fresh = DriftMonitor(NAMES, settings)
    assert monitor.snapshot() == fresh.snapshot()
    assert DriftMonitor.restore(monitor.snapshot()).notice == ""


def _spoilt(history: list[Any], part: int) -> list[Any]:
    """A history one of whose sums is no number."""
    values = np.frombuffer(history[part]).copy()
    values[-1] = np.nan
    return [values.tobytes() if k == part else one for k, one in enumerate(history)]


def _without(key: str) -> Any:
    return lambda state: {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state | {"learnt": (3, b"\0" * 8)},
        lambda state: state | {"learnt": (3, np.full(10, np.nan).tobytes())},
        lambda state: state | {"names": ["gain"]},
        lambda state: state | {"names": []},
        lambda state: state | {"state": "asleep"},
        lambda state: state | {"settings": {"colour": 3}},
        lambda state: state | {"settings": {"arl0_blocks": -1.0}},
        lambda state: state | {"history": (1, b"", b"", b"")},
        lambda state: state | {"history": (1, b"\0" * 32, b"\0" * 7, b"\0" * 24)},
        lambda state: state | {"history": _spoilt(state["history"], 1)},
        lambda state: state | {"history": _spoilt(state["history"], 2)},
        lambda state: state | {"history": [99, *state["history"][1:]]},
        lambda state: state | {"settings": state["settings"] | {"learning_blocks": float("nan")}},
        lambda state: state | {"settings": state["settings"] | {"minimum_changes": [["colour", 0.1]]}},
        lambda state: state | {"spread": (9, float("nan"), [0.0, 0.0])},
        lambda state: state | {"spread": (9, 1.0, [0.0, float("inf")])},
        lambda state: state | {"spread": (9, 1.0, [0.0])},
        lambda state: state | {"held": b"\0"},
        lambda state: state | {"found": ((1, 2, 3), b"\0")},
        lambda state: state | {"version": "two"},
        _without("version"),
        _without("learnt"),
    ],
)
def test_damage_is_refused(spoil: Any) -> None:
    source, monitor = Source(5), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(10)])
    with pytest.raises(InvalidData, match=r"snapshot|settings|arl0|parameter|learning_blocks"):
        DriftMonitor.restore(msgspec.msgpack.encode(spoil(plain(monitor.snapshot()))))


def test_a_history_of_no_numbers_is_refused_with_the_reason() -> None:
    source, monitor = Source(6), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(10)])
    state = plain(monitor.snapshot())
    with pytest.raises(InvalidData, match="sums of its history are not finite"):
        DriftMonitor.restore(msgspec.msgpack.encode(state | {"history": _spoilt(state["history"], 1)}))
    marks = np.frombuffer(state["history"][3], dtype=np.int64).reshape(-1, 3).copy()
    marks[1] = marks[0]
    with pytest.raises(InvalidData, match="history are not in order"):
        DriftMonitor.restore(msgspec.msgpack.encode(state | {"history": [*state["history"][:3], marks.tobytes()]}))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xc1", b"junk" * 100, base64.b85decode(FIRST_FORM)[:50]])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="snapshot"):
        DriftMonitor.restore(data)
