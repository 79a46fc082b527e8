"""Commands about coefficient sets that wait, and rollouts: `dyncal sets …`, `dyncal rollout …`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyncal.cli.remote import HERE, KeyOption, UrlOption, connected, read_content, stop
from dyncal.domain.time import InstantNs, iso

if TYPE_CHECKING:
    from dyncal.client import Client, models

Sensor = Annotated[str, typer.Argument(help="Id of the sensor.")]
Rollout = Annotated[str, typer.Argument(help="Id of the rollout.")]
Because = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]
WaitOption = Annotated[float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for the answer.")]

sets_app = typer.Typer(no_args_is_help=True, help="Coefficient sets: what waits, approval, going back.")
rollout_app = typer.Typer(no_args_is_help=True, help="Sets to many sensors, in stages.")


@sets_app.command("list")
def list_sets(sensor: Sensor, url: UrlOption = HERE, key_file: KeyOption = None) -> None:
    """List the newest sets of a sensor with their states and the reasons."""
    with connected(url, key_file) as client:
        life = client.lifecycle(sensor)
    for item in life.items:
        mark = "*" if item.set.id == life.in_force else " "
        print(f"{mark} {item.set.id}  {item.set.state:10}  {item.set.reason}")


@sets_app.command()
def approve(
    sensor: Sensor,
    set_id: str,
    reason: Because,
    wait_s: WaitOption = 30.0,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Publish a verified set that waits. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.approve(sensor, set_id, reason))


@sets_app.command()
def reject(
    sensor: Sensor,
    set_id: str,
    reason: Because,
    wait_s: WaitOption = 30.0,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Reject a verified set that waits. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.reject(sensor, set_id, reason))


@sets_app.command("roll-back")
def roll_back(
    sensor: Sensor,
    reason: Because,
    to: Annotated[str | None, typer.Option(help="Which set to go back to; the one before if absent.")] = None,
    wait_s: WaitOption = 30.0,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Go back to an earlier set, by a new one with its numbers. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.roll_back(sensor, reason, to=to))


@rollout_app.command("list")
def list_rollouts(url: UrlOption = HERE, key_file: KeyOption = None) -> None:
    """List rollouts, newest first."""
    with connected(url, key_file) as client:
        for found in client.rollouts():
            print(f"{found.id}  {found.state:9}  {found.n_touched} of {found.n_sensors} touched  {found.title}")


@rollout_app.command()
def candidates(url: UrlOption = HERE, key_file: KeyOption = None) -> None:
    """List the sets that wait: what a rollout can be of."""
    with connected(url, key_file) as client:
        for found in client.rollout_candidates():
            print(f"{found.sensor}  {found.set_id}  {found.edge or '-'}")


@rollout_app.command()
def show(rollout: Rollout, url: UrlOption = HERE, key_file: KeyOption = None) -> None:
    """Show how a rollout stands, and every sensor of it that is not simply waiting or normal."""
    with connected(url, key_file) as client:
        found = client.rollout(rollout)
        odd = [m for m in client.rollout_members(rollout) if m.state not in ("waiting", "normal")]
    print(f"{found.id}: {found.state}, {found.reason}; begun {iso(InstantNs(found.begun_ns))} by {found.actor}")
    for k, stage in enumerate(found.stages):
        told = f"{stage.n_touched} of {stage.target} touched, {stage.n_normal} normal, {stage.n_failed} failed"
        print(f"{'>' if k == found.stage else ' '} {stage.share:.0%}: {told}, {stage.n_reverted} reverted")
    for member in odd:
        print(f"  {member.sensor} at {member.edge}: {member.state}{f', {member.reason}' if member.reason else ''}")


@rollout_app.command()
def begin(
    reason: Because,
    title: Annotated[str, typer.Option(help="For people.")] = "",
    sensors: Annotated[list[str] | None, typer.Option("--sensor", help="By name; all that wait if absent.")] = None,
    edges: Annotated[list[str] | None, typer.Option("--edge", help="Those of these edges.")] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Stages and thresholds as JSON, as the HTTP API has them.")
    ] = None,
    wait_s: WaitOption = 30.0,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Begin a rollout of sets that wait, and print its id. Exit status 1 if that is refused."""
    from dyncal.client import models

    body = models.RolloutBody(
        title=title,
        reason=reason,
        sensors=sensors or [],
        edges=edges or [],
        plan=models.PlanBody() if plan is None else _plan(plan),
    )
    order = _ordered(url, key_file, wait_s, lambda client: client.begin_rollout(body))
    print(order.subject)


@rollout_app.command()
def pause(
    rollout: Rollout, reason: Because, wait_s: WaitOption = 30.0, url: UrlOption = HERE, key_file: KeyOption = None
) -> None:
    """Send no further sets; those that are out are watched as before. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.pause_rollout(rollout, reason))


@rollout_app.command()
def resume(
    rollout: Rollout,
    reason: Because,
    *,
    accept: Annotated[bool, typer.Option("--accept", help="As if the present stage had passed.")] = False,
    wait_s: WaitOption = 30.0,
    url: UrlOption = HERE,
    key_file: KeyOption = None,
) -> None:
    """Let a paused rollout go on. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.resume_rollout(rollout, reason, accept=accept))


@rollout_app.command()
def abort(
    rollout: Rollout, reason: Because, wait_s: WaitOption = 30.0, url: UrlOption = HERE, key_file: KeyOption = None
) -> None:
    """Have every sensor that was touched go back. Exit status 1 if that is refused."""
    _ordered(url, key_file, wait_s, lambda client: client.abort_rollout(rollout, reason))


def _plan(file: Path) -> Any:
    import msgspec

    from dyncal.client import models

    try:
        return msgspec.json.decode(read_content(file), type=models.PlanBody)
    except msgspec.DecodeError as error:
        stop(f"{file}: {error}")


def _ordered(
    url: str, key_file: Path | None, wait_s: float, give: Callable[[Client], models.OrderOut]
) -> models.OrderOut:
    """Give an order and wait for its answer; end with status 1 if it is refused, or nobody answers."""
    with connected(url, key_file) as client:
        order = client.settled(give(client), wait_s)
    if order.state == "waiting":
        stop(f"order {order.id} waits still: does calibrate run? It is carried out once it does")
    if order.state != "done":
        stop(f"refused: {order.answer}")
    _say([order.answer, order.result])
    return order


def _say(words: Iterable[str]) -> None:
    sys.stderr.write(f"{' '.join(word for word in words if word)}\n")
