"""What clock services print, as recorded, and what it says of the clock.

chronyc's lines are those of chronyd 4.3 (Debian 12); ntpq's, pmc's and busctl's are as their manuals show them.
"""

from __future__ import annotations

import json
import math

import pytest

from edge_agent.clock import chrony, kernel, ntpd, ptp, timesyncd
from edge_agent.clock.command import run
from edge_agent.clock.reading import Unreadable, u_of_bound

_ZERO = "0.000000000"
CHRONY = (
    "7F000001,127.0.0.1,3,1795457494.510988238,0.000000576,-0.000000022,0.000000050,-0.069,-0.003,0.166,"
    "0.000000702,0.000000643,0.1,Normal\n"
)
CHRONY_ALONE = (
    f"7F7F0101,,2,1795457490.919350859,{_ZERO},{_ZERO},{_ZERO},0.000,0.000,0.000,{_ZERO},{_ZERO},0.0,Normal\n"
)
CHRONY_LOST = (
    f"00000000,,0,{_ZERO},{_ZERO},{_ZERO},{_ZERO},0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n"
)
NTPQ = """associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,
leap=00, stratum=2, refid=192.0.2.7, rootdelay=11.984, rootdisp=18.403,
offset=-0.521, sys_jitter=0.310, clk_wander=0.021
"""
NTPQ_LOST = """associd=0 status=c011 leap_alarm, sync_unspec,
leap=11, stratum=16, refid=INIT, rootdelay=0.000, rootdisp=9.1,
offset=0.0
"""
BUSCTL = json.dumps({
    "type": "(uuuuittayttttbtt)",
    "data": [0, 4, 4, 2, -24, 1500, 900, [192, 0, 2, 9], 1_000_000, 1_010_300, 1_010_400, 1_020_100, False, 3, 1200],
})  # fmt: skip
PMC = """sending: GET PORT_DATA_SET
\t90e2ba.fffe.20c7f8-1 seq 0 RESPONSE MANAGEMENT PORT_DATA_SET
\t\tportIdentity            90e2ba.fffe.20c7f8-1
\t\tportState               SLAVE
\t\tlogMinDelayReqInterval  0
sending: GET CURRENT_DATA_SET
\t90e2ba.fffe.20c7f8-0 seq 1 RESPONSE MANAGEMENT CURRENT_DATA_SET
\t\tstepsRemoved     1
\t\toffsetFromMaster -34.0
\t\tmeanPathDelay    1180.0
sending: GET PARENT_DATA_SET
\t90e2ba.fffe.20c7f8-0 seq 2 RESPONSE MANAGEMENT PARENT_DATA_SET
\t\tparentPortIdentity                    00b0ae.fffe.01d2c9-1
\t\tgm.ClockClass                         6
\t\tgm.ClockAccuracy                      0x21
\t\tgm.OffsetScaledLogVariance            0x4e5d
\t\tgrandmasterIdentity                   00b0ae.fffe.01d2c9
"""


def test_chrony() -> None:
    found = chrony.parse(CHRONY)
    assert (found.source, found.synchronised, found.reference) == ("chrony", True, "127.0.0.1")
    assert found.offset_ns == pytest.approx(-576)  # "System time" is how far the clock is behind
    assert found.u_ns == pytest.approx(math.hypot((643 + 351) / math.sqrt(3), 576))
    assert found.rate == pytest.approx(0.169e-6)


@pytest.mark.parametrize("text", [CHRONY_ALONE, CHRONY_LOST])
def test_chrony_that_follows_nobody(text: str) -> None:
    assert not chrony.parse(text).synchronised


def test_ntpd() -> None:
    found = ntpd.parse(NTPQ)
    assert (found.synchronised, found.reference) == (True, "192.0.2.7")
    assert found.offset_ns == pytest.approx(521e3)
    assert found.u_ns == pytest.approx(math.hypot((18.403e6 + 5.992e6) / math.sqrt(3), 521e3, 310e3))
    assert not ntpd.parse(NTPQ_LOST).synchronised


def test_timesyncd() -> None:
    found = timesyncd.parse(BUSCTL)
    assert (found.synchronised, found.reference) == (True, "192.0.2.9")
    assert found.offset_ns == pytest.approx(-(10_300 - 9_700) / 2 * 1e3)
    assert found.u_ns == pytest.approx(math.hypot((10_000 + 750 + 900) * 1e3 / math.sqrt(3), 1200e3))
    told = json.loads(BUSCTL)
    told["data"][0] = 3
    assert not timesyncd.parse(json.dumps(told)).synchronised


def test_ptp() -> None:
    found = ptp.parse(PMC)
    assert (found.synchronised, found.offset_ns, found.reference) == (True, -34.0, "00b0ae.fffe.01d2c9")
    assert found.u_ns == pytest.approx(u_of_bound(100 + 590, 34))
    assert not ptp.parse(PMC.replace("SLAVE", "LISTENING")).synchronised
    assert not ptp.parse(PMC.replace("0x21", "0xfe")).synchronised  # a grandmaster that does not say how good it is


def test_the_kernel() -> None:
    assert not kernel.parse(5, kernel.Timex()).synchronised
    assert not kernel.parse(0, kernel.Timex(status=0x40)).synchronised
    told = kernel.parse(0, kernel.Timex(esterror=20, maxerror=9000, offset=-30))
    assert told.offset_ns == 30e3
    assert told.u_ns == pytest.approx(math.hypot(20e3, 30e3))
    # systemd-timesyncd gives no estimate: a clock that is off by up to 9 ms is not right to the nanosecond
    assert kernel.parse(0, kernel.Timex(esterror=0, maxerror=9000)).u_ns == pytest.approx(9e6 / math.sqrt(3))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (chrony.parse, ""),
        (chrony.parse, "506 Cannot talk to daemon\n"),
        (chrony.parse, CHRONY.replace("0.000000702", "x")),
        (ntpd.parse, "ntpq: read: Connection refused\n"),
        (ntpd.parse, "leap=00, stratum=2, rootdelay=, rootdisp=1"),
        (timesyncd.parse, "{}"),
        (timesyncd.parse, '{"type": "s", "data": "x"}'),
        (timesyncd.parse, '{"type": "(uuuuittayttttbtt)", "data": [1]}'),
        (ptp.parse, "sending: GET PORT_DATA_SET\n"),
        (ptp.parse, "\t\tportState SLAVE\n"),
    ],
)
def test_what_cannot_be_understood_is_said_to_be_so(parse: object, text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)  # type: ignore[operator]


async def test_programs_that_are_not_there_or_fail_or_hang_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await run(("there-is-no-such-program",)) is None
    assert await run(("sh", "-c", "echo x; exit 1")) is None
    assert await run(("sh", "-c", "echo x")) == "x\n"
    monkeypatch.setattr("edge_agent.clock.command.LIMIT_S", 0.2)
    assert await run(("sleep", "10")) is None
