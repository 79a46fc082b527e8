"""An edge agent whose connection to a server is cut again and again: what it missed, and what it said of that."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import msgspec

from dyncal.domain.samples import GapRecord
from dyncal.testing.bus import FakeBroker
from tests.cuts.servers import Kind, Served, serving
from tests.cutting_proxy import CuttingProxy
from tests.integration.edge_agent.plant import running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content

EVENTS = "dyncal/v1/plant/edge1/events"
BACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of samples, from the first that came to the last.

    Attributes
    ----------
    missing, altered, extra : int
        Made but not there; there with another value; there but never made.
    recorded : int
        Missing ones that gap records tell of, by their number.
    unexplained : int
        Missing ones that are within no gap record.
    """

    made: int
    missing: int
    altered: int
    extra: int
    recorded: int
    unexplained: int

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def honest(self) -> bool:
        """True if nothing was changed, and whatever is missing is recorded, to the sample."""
        return not self.altered and not self.extra and not self.unexplained and self.recorded == self.missing


def _quiet(text: str) -> None:
    del text


async def cut(
    kind: Kind,
    folder: Path,
    cuts_s: Sequence[float],
    *,
    history: bool = False,
    queue_size: int | None = None,
    say: Callable[[str], None] = _quiet,
) -> Outcome:
    """Cut the connection for each of these times, with a moment between, and count. Raises `servers.Missing`."""
    broker = FakeBroker()
    async with serving(kind, folder, history=history) as served, CuttingProxy(served.port) as proxy:
        edge = {"opcua": [_server(kind, proxy.port, queue_size)]}
        async with running(settings_of(folder, edge), broker):
            await until(lambda: _n_connected(broker), BACK_S)
            await until(lambda: len(Content.of(sent(broker)).raw) > kind.rate_hz, BACK_S)
            start = max(served.made)
            for number, cut_s in enumerate(cuts_s, 1):
                await asyncio.sleep(0.77)
                n_before = _n_connected(broker)
                await proxy.cut()
                await asyncio.sleep(cut_s)
                await proxy.mend()
                await until(lambda n=n_before: _n_connected(broker) > n, BACK_S)  # type: ignore[misc]  # bound for now
                say(f"{kind.name}: {number} of {len(cuts_s)}, {cut_s:g} s: {_last_connected(broker)}")
            await asyncio.sleep(1.0)
            end = max(served.made)
            await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= end, BACK_S)
    return _count(served, broker, start, end)


async def kill(
    kind: Kind,
    folder: Path,
    alive_s: Sequence[float],
    *,
    history: bool = False,
    say: Callable[[str], None] = _quiet,
) -> Outcome:
    """Kill an agent after it has read for each of these times, start it again each time, and count."""
    broker = FakeBroker()
    async with serving(kind, folder, history=history) as served:
        server = _server(kind, served.port, None)
        for number, one_s in enumerate(alive_s, 1):
            said = await _live(folder, server, one_s)
            say(f"{kind.name}: {number} of {len(alive_s)} killed: {said}")
        async with running(settings_of(folder, {"opcua": [server]}), broker):
            await until(lambda: _n_connected(broker), BACK_S)
            say(f"{kind.name}: at last: {_last_connected(broker)}")
            await asyncio.sleep(1.0)
            end = max(served.made)
            await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= end, BACK_S)
    first = min(t for t in Content.of(sent(broker)).raw if t in served.made)
    return _count(served, broker, first, end)


async def _live(folder: Path, server: dict[str, object], alive_s: float) -> str:
    """Run an agent without a broker in a process of its own, for a time after it is connected; return what it said."""
    settings = settings_of(folder, {"opcua": [server]})
    config = folder / "edge.json"
    config.write_text(settings.model_dump_json(include={"data_dir", "edge"}, exclude_unset=True))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cuts.agent", str(config)), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(BACK_S):
            while b"source_connected" not in (line := await process.stderr.readline()):
                assert line, "the agent has ended"
        await asyncio.sleep(alive_s)
    finally:
        process.kill()
        await process.communicate()
    return line.decode().partition("detail=")[2].strip()


def _server(kind: Kind, port: int, queue_size: int | None) -> dict[str, object]:
    node = {"sensor": "A", "node": "ns=1;s=A", "unit": "Cel", "dt_s": 1 / kind.rate_hz, "silent_after_s": 300.0}
    node |= {"sampling_s": kind.sampling_s, "queue_size": queue_size}
    return {"url": f"opc.tcp://127.0.0.1:{port}", "publishing_s": 0.1, "timeout_s": 2.0, "nodes": [node]}


def _connected(broker: FakeBroker) -> list[str]:
    found = [msgspec.json.decode(payload) for payload in broker.published(EVENTS)]
    return [event.get("detail", "") for event in found if event["kind"] == "source_connected"]


def _n_connected(broker: FakeBroker) -> int:
    return len(_connected(broker))


def _last_connected(broker: FakeBroker) -> str:
    return _connected(broker)[-1]


def _count(served: Served, broker: FakeBroker, start: int, end: int) -> Outcome:
    records = sent(broker)
    got = {t: value for t, (value, _) in Content.of(records).raw.items() if start <= t <= end}
    made = {t: value for t, value in served.made.items() if start <= t <= end}
    missing = made.keys() - got.keys()
    told = {r.gap for r in records if isinstance(r, GapRecord)}  # what no store commits is sent again
    gaps = [gap for gap in told if gap.before_ns > start and gap.after_ns < end]
    return Outcome(
        made=len(made),
        missing=len(missing),
        altered=sum(made[t] != value for t, value in got.items() if t in made),
        extra=len(got.keys() - made.keys()),
        recorded=sum(gap.n_lost or 0 for gap in gaps),
        unexplained=sum(not any(gap.after_ns < t < gap.before_ns for gap in gaps) for t in missing),
    )
