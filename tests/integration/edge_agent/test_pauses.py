"""An OPC UA server that stands still for a while, as loaded ones do, and then goes on."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from dyncal.domain.samples import GapRecord
from dyncal.domain.time import InstantNs
from dyncal.runtime.ports import free_ports
from dyncal.testing.bus import FakeBroker
from simulators.plant import Plant
from simulators.reports import Started, Stopped, read_report
from simulators.scenarios.scenario import load_scenario
from tests.integration.edge_agent.plant import running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content

PAUSE_S = 2.5
SCENARIO = """
name = "pausing"
seed = 5
[[stations]]
id = "PT"
unit = "kPa"
surface = "opcua"
model = "first_order"
parameters = { gain = 1.0, tau_s = 0.2 }
rate_hz = 100
measurand = { rms = 1.0, band_hz = 1.0 }
converter = { noise = 0.01 }
"""


async def test_nothing_is_lost_while_a_server_pauses(tmp_path: Path) -> None:
    file = tmp_path / "pausing.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    opcua_port, no_broker = free_ports(2)
    node = {"sensor": "PT", "node": "ns=2;s=PT", "unit": "kPa", "dt_s": 0.01, "silent_after_s": 60.0}
    edge = {"opcua": [{"url": f"opc.tcp://127.0.0.1:{opcua_port}", "publishing_s": 0.05, "nodes": [node]}]}
    broker = FakeBroker()
    async with running(settings_of(tmp_path, edge), broker):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators", str(file), "--log-level", "warning"),
            *("--opcua-port", str(opcua_port), "--mqtt-port", str(no_broker)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(90):
                started = read_report(await process.stdout.readline())
                assert isinstance(started, Started)
                await until(lambda: len(Content.of(sent(broker)).raw) > 50, 30)
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(PAUSE_S)
                process.send_signal(signal.SIGCONT)
                before = len(Content.of(sent(broker)).raw)
                await until(lambda: len(Content.of(sent(broker)).raw) > before + 100 * PAUSE_S, 30)
                process.send_signal(signal.SIGTERM)
                stopped = read_report(await process.stdout.readline())
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert isinstance(stopped, Stopped)
    assert stopped.max_late_s >= PAUSE_S - 0.5
    (channel,) = (c for c in Plant(load_scenario(file), InstantNs(started.t0_ns)).channels() if c.id == "PT")
    made: dict[int, float] = {}
    while len(made) < stopped.published["PT"]:
        publication = channel.next_publication()
        made |= dict(zip(publication.t_ns.tolist(), publication.value.tolist(), strict=True))
    got = {t: value for t, (value, _) in Content.of(sent(broker)).raw.items()}
    first = min(got)
    # server time stamps are in units of 100 ns, the plant's grid is coarser
    assert got == {t: value for t, value in made.items() if t >= first}
    assert not [r for r in sent(broker) if isinstance(r, GapRecord)]
