"""`dyncal replay SOURCE` and `dyncal replay diff A B`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from dyncal.domain.errors import DyncalError, InvalidSetting

if TYPE_CHECKING:
    from dyncal.domain.time import DurationNs, InstantNs
    from dyncal.runtime.settings import BrokerSettings, StoreSettings
    from edge_agent.settings import EdgeSettings
    from simulators.replay import Effects, Options, Source
    from simulators.replay.live import Played

_SOURCE = "Scenario (name or TOML), recording (.parquet, .csv), data directory, or influx:http://HOST:8086/DATABASE."


def replay(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    speed: Annotated[
        str, typer.Option(metavar="N|max", help="Times real time, onto a live broker; `max`: without network.")
    ] = "max",
    begin: Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="ISO 8601, with time zone.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="INSTANT", help="ISO 8601, with time zone.")] = None,
    sensors: Annotated[str | None, typer.Option(metavar="A,B", help="Only these, with their references.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.001, metavar="S", help="Length of a simulated scenario; its own if absent.")
    ] = None,
    gather: Annotated[
        float | None, typer.Option(min=0.001, metavar="S", help="Take samples together in spans of this length: fast.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Live: begin again at the end, until Ctrl-C.")] = False,
    restamp: Annotated[bool, typer.Option("--restamp", help="Live: move times so that it begins now.")] = False,
    broker: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Live: where to; default that of --config, or 127.0.0.1:1883."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is left to chance.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the result there, with all corrected samples.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Settings of the plant: its sensors and store."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Replay what was recorded, or is simulated, through the engines of edge, ingest and calibrate."""
    from dyncal.domain.time import duration as nanoseconds
    from dyncal.runtime.logging import configure
    from dyncal.runtime.settings import LogSettings
    from simulators.replay.opening import Wish, open_source

    configure(LogSettings(level="error"))
    try:
        times = _times(speed)
        if times is None and (loop or restamp):
            raise InvalidSetting("--loop and --restamp are for a live broker: give --speed 1, say")
        gather_ns = None if gather is None else nanoseconds(gather)
        plant, store = _plant(config)
        wish = Wish(
            seconds=duration,
            gather_ns=gather_ns,
            sensors=None if sensors is None else tuple(filter(None, sensors.split(","))),
            from_ns=_instant("--from", begin),
            to_ns=_instant("--to", end),
            plant=plant,
            store=store,
        )
        with ExitStack() as stack:
            opened = open_source(source, wish, stack)
            if times is not None:
                raise typer.Exit(
                    _onto_broker(opened, times, broker, config, loop=loop, restamp=restamp, as_json=as_json)
                )
            effects = _fast(opened, _options(seed, gather_ns), out, quiet=as_json)
    except DyncalError as error:
        raise _failed(f"dyncal replay: {error}", 2 if isinstance(error, InvalidSetting) else 1) from error
    except OSError as error:
        raise _failed(f"dyncal replay: {error.filename}: {error.strerror}") from error
    _tell(effects, as_json=as_json)
    raise typer.Exit(0 if effects.complete else 130)


def _times(speed: str) -> float | None:
    """Return how many times real time; None for as fast as it goes."""
    if speed == "max":
        return None
    try:
        times = float(speed)
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise InvalidSetting(f"--speed cannot be {speed!r}: a number such as 1 or 100, or max")
    return times


def _onto_broker(
    source: Source, times: float, broker: str | None, config: Path | None, *, loop: bool, restamp: bool, as_json: bool
) -> int:
    """Play onto a broker; return the exit status."""
    import asyncio

    import msgspec

    from dyncal.cli.replay_progress import Progress
    from dyncal.runtime.clocks import SystemClock
    from simulators.replay.live import play

    settings, clock = _broker(broker, config), SystemClock()

    async def until_signal(progress: Progress) -> Played:
        stop = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        return await play(source, settings, clock, stop, speed=times, restamp=restamp, loop=loop, progress=progress.at)

    with Progress(clock, None if loop else source.end_ns(), quiet=as_json) as progress:
        played = asyncio.run(until_signal(progress))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(played) + b"\n")
    else:
        print(
            f"{played.source}: {played.n_samples} samples in {played.n_messages} messages, {played.span_s:.1f} s in"
            f" {played.took_s:.1f} s; latest {played.max_late_s:.3f} s; not acknowledged {played.n_lost}"
        )
    return 130 if not (played.complete or loop) else 1 if played.n_lost else 0


def _broker(address: str | None, config: Path | None) -> BrokerSettings:
    """Return where to publish."""
    from pydantic import ValidationError

    from dyncal.runtime.settings import BrokerSettings, load
    from edge_agent.settings import EdgeSettings

    given = BrokerSettings(protocol="3.1.1") if config is None else load(EdgeSettings, config).broker
    if address is None:
        return given
    host, _, port = address.rpartition(":")
    try:
        return BrokerSettings.model_validate(given.model_dump() | {"host": host, "port": port})
    except ValidationError as error:
        raise InvalidSetting(f"--broker cannot be {address!r}: HOST:PORT, such as 127.0.0.1:1883") from error


def _options(seed: int, gather_ns: DurationNs | None) -> Options:
    """Return the options; where samples are taken together, timers tick as often."""
    from simulators.replay import Options

    if gather_ns is None:
        return Options(seed=seed)
    return Options(seed=seed, gather_ns=gather_ns, tick_ns=gather_ns, poll_ns=gather_ns)


def _fast(source: Source, options: Options, out: Path | None, *, quiet: bool) -> Effects:
    from dyncal.cli.replay_progress import Progress
    from dyncal.runtime.clocks import SystemClock
    from simulators.replay import replay as run
    from simulators.replay.results import CorrectedWriter, save

    with ExitStack() as kept, Progress(SystemClock(), source.end_ns(), quiet=quiet) as progress, _interrupted() as stop:
        writer = None if out is None else kept.enter_context(CorrectedWriter(out))
        done = run(source, options, on_corrected=writer, progress=progress.at, stop=stop)
    progress.summarise(done.span_ns, done.n_samples)
    if out is not None:
        save(done.effects, out)
    return done.effects


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="Result of a replay: a directory, or its effects.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what two replays differ in, by sensor and kind. Status 1: in more than settings; 2: not readable."""
    import msgspec

    from simulators.replay.differences import compare

    try:
        found = compare(first, second)
    except DyncalError as error:
        raise _failed(f"dyncal replay diff: {error}", 2) from error
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        for each in found:
            size = "" if each.size is None else f": {each.size:.6g}{'' if each.unit == '1' else ' ' + each.unit}"
            print(f"{each.kind:<10} {each.sensor:<20} {each.what}{size}")
        if not found:
            print("no difference")
    raise typer.Exit(1 if any(each.kind != "settings" for each in found) else 0)


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C or SIGTERM came: what was begun is ended in order."""
    told: list[int] = []

    def take(signum: int, frame: FrameType | None) -> None:
        del frame
        told.append(signum)

    before = {signum: signal.signal(signum, take) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(told)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _tell(effects: Effects, *, as_json: bool) -> None:
    from simulators.replay.effects import without_sets
    from simulators.replay.results import encode

    if as_json:
        sys.stdout.buffer.write(encode(effects) + b"\n")
        return
    applied = sum(report.outcome == "applied" for report in effects.reports)
    print(f"{effects.source}: digest {effects.digest}" + ("" if effects.complete else " (broken off)"))
    print(f"sets {len(effects.sets)}, applied {applied}, gaps {len(effects.gaps)}")
    for made in effects.sets:
        values = ", ".join(f"{n} {v:.6g} ± {u:.2g}" for n, v, u in zip(made.names, made.values, made.u, strict=True))
        print(f"  {made.sensor}: {made.id} {made.state}: {values}")
    for alarm in effects.alarms:
        print(f"  {alarm.source}: {alarm.kind} {'holds' if alarm.holds else 'ended'}: {alarm.cause}")
    for stands in without_sets(effects):
        print(f"  {stands.sensor}: no set: {stands.watch}" + (f", {stands.reason}" if stands.reason else ""))


def _plant(config: Path | None) -> tuple[EdgeSettings, StoreSettings] | tuple[None, None]:
    """Return what the plant's settings say of sensors and store."""
    if config is None:
        return None, None
    from dyncal.runtime.settings import load
    from edge_agent.settings import EdgeSettings
    from services.ingest.settings import IngestSettings

    return load(EdgeSettings, config), load(IngestSettings, config).store


def _instant(option: str, text: str | None) -> InstantNs | None:
    from dyncal.domain.errors import InvalidData
    from dyncal.domain.time import parse_iso

    if text is None:
        return None
    try:
        return parse_iso(text)
    except InvalidData as error:
        raise InvalidSetting(f"{option}: {error}") from error


def _failed(message: str, status: int = 1) -> typer.Exit:
    sys.stderr.write(message + "\n")
    return typer.Exit(status)
