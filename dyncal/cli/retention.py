"""`dyncal retention …`: what becomes of old samples, and which of them must stay."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dyncal.cli.remote import HERE, KeyOption, UrlOption, connected
from dyncal.cli.reporting import ConfigOption, reported, stop

if TYPE_CHECKING:
    from dyncal.domain.sensors import SensorId
    from dyncal.ports.history import HistoryStore
    from services.ingest.retention.protection import Guard, Protection
    from services.ingest.retention.reducer import Step
    from services.ingest.settings import IngestSettings

Because = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]
FromOption = Annotated[str, typer.Option("--from", metavar="INSTANT", help="From then on (ISO 8601).")]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="INSTANT", help="Until before; whatever comes if absent.")
]

retention_app = typer.Typer(no_args_is_help=True, help="What becomes of old samples, and which must stay.")


@retention_app.command()
def show(config: ConfigOption = None) -> None:
    """Say what the policy is, since when there are samples and aggregates, and what stays and why."""
    with reported("services"), ExitStack() as stack:
        settings, store, guard = _opened(stack, config)
        from dyncal.runtime.clocks import SystemClock

        for line in _policy(settings):
            print(line)
        protection = guard.protection(SystemClock().now())
        for sensor in store.held():
            print(_of_sensor(settings, store, sensor, protection))
        for line in _kept(protection):
            print(line)


@retention_app.command()
def run(
    config: ConfigOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be replaced, and change nothing.")] = False,
) -> None:
    """Replace what is too old now. Ingest does it by itself: it must not run meanwhile, but for --dry-run."""
    with reported("services"), ExitStack() as stack:
        settings, store, guard = _opened(stack, config)
        from dyncal.adapters.backup import in_use
        from dyncal.runtime.clocks import SystemClock
        from dyncal.runtime.exclusive import Exclusive
        from services.ingest.retention.keeper import LOCK_FILE, note
        from services.ingest.retention.reducer import Reducer
        from services.ingest.service import LEDGER_FILE

        policy = settings.ingest.retention.policy
        if not policy.stages:
            print("ingest.retention.raw_days is not set: samples are kept for ever")
            return
        if not dry_run:
            if in_use(settings.data_dir / LEDGER_FILE):
                stop("ingest runs, and does this by itself: stop it first, or look with --dry-run")
            stack.enter_context(closing(Exclusive(settings.data_dir / LOCK_FILE, "dyncal retention run")))
            store.settle()
        reducer = Reducer(store, guard, policy, dry=dry_run)
        clock = SystemClock()
        under_way = reducer.begin(clock.now())
        n_rows = n_made = 0
        try:
            for done in reducer.steps(under_way):
                print(_told(done))
                n_rows, n_made = n_rows + done.n_rows, n_made + done.n_made
        finally:
            if not dry_run:
                note(guard.registry, under_way, clock.now(), "command line")
        print(f"{n_rows} rows {'would become' if dry_run else 'became'} {n_made} aggregates")


@retention_app.command("holds")
def list_holds(url: UrlOption = HERE, key_file: KeyOption = None) -> None:
    """List the holds in force."""
    from dyncal.domain.time import InstantNs, iso

    with connected(url, key_file) as client:
        for hold in client.holds():
            until = "on" if hold.to_ns is None else f"to {iso(InstantNs(hold.to_ns))}"
            print(
                f"{hold.id}  {hold.sensor or 'all sensors'}  from {iso(InstantNs(hold.from_ns))} {until}  {hold.reason}"
            )


@retention_app.command()
def hold(
    from_: FromOption,
    reason: Because,
    sensor: Annotated[str | None, typer.Argument(help="Id of the sensor; all if absent.")] = None,
    to: ToOption = None,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Have samples stay as they are, and print the id of the hold."""
    from dyncal.domain.time import parse_iso

    with connected(url, key_file) as client:
        to_ns = None if to is None else parse_iso(to)
        print(client.put_hold(sensor, parse_iso(from_), to_ns, reason).id)


@retention_app.command()
def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold.")],
    reason: Because,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Release a hold."""
    with connected(url, key_file) as client:
        client.release_hold(hold_id, reason)


def _opened(stack: ExitStack, config: Path | None) -> tuple[IngestSettings, HistoryStore, Guard]:
    from dyncal.adapters.registry import open_registry
    from dyncal.adapters.stores import open_store
    from dyncal.runtime.settings import load
    from services.ingest.retention.protection import Guard
    from services.ingest.settings import IngestSettings

    settings = load(IngestSettings, config)
    store = stack.enter_context(closing(open_store(settings.store, settings.data_dir)))
    guard = stack.enter_context(closing(Guard(lambda: open_registry(settings.registry, settings.data_dir))))
    return settings, store, guard


def _policy(settings: IngestSettings) -> list[str]:
    stages = settings.ingest.retention.policy.stages
    if not stages:
        return ["policy: samples are kept for ever (ingest.retention.raw_days is not set)"]
    return [
        f"policy: {_name(stage.width_ns)} older than {stage.keep_ns / 86_400e9:g} d "
        f"{'are forgotten' if stage.by_ns is None else f'become {_name(stage.by_ns)}'}"
        for stage in stages
    ]


def _of_sensor(settings: IngestSettings, store: HistoryStore, sensor: SensorId, protection: Protection) -> str:
    from dyncal.domain.aggregates import SAMPLES
    from dyncal.domain.time import iso

    widths = [SAMPLES, *(stage.by_ns for stage in settings.ingest.retention.policy.stages if stage.by_ns is not None)]
    since = [
        f"{_name(width)} since {iso(first)}" for width in widths if (first := store.first(sensor, width)) is not None
    ]
    unknown = "" if sensor in protection.known else "  (the registry does not know it: nothing is removed)"
    return f"{sensor}: {', '.join(since)}{unknown}"


def _kept(protection: Protection) -> list[str]:
    from dyncal.domain.time import LATEST, InstantNs, iso

    def until(instant: int) -> str:
        return "on" if instant >= LATEST else f"to {iso(InstantNs(instant))}"

    return [
        f"stays: {one.sensor or 'all sensors'} from {iso(InstantNs(max(one.span.from_ns, 0)))} "
        f"{until(one.span.to_ns)}: {one.why}"
        for one in protection.kept
    ]


def _told(done: Step) -> str:
    from dyncal.domain.time import iso

    made = "forgotten" if done.by_ns is None else f"{done.n_made} of {_name(done.by_ns)}"
    return (
        f"{done.sensor}: {done.n_rows} {_name(done.width_ns)} from {iso(done.start_ns)} to {iso(done.end_ns)}: {made}"
    )


def _name(width_ns: int) -> str:
    return "samples" if width_ns == 0 else f"aggregates of {width_ns / 1e9:g} s"
