"""`dyncal scenarios list|show|check`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dyncal.domain.errors import InvalidInput

if TYPE_CHECKING:
    from simulators.scenarios.scenario import Scenario

scenarios_app = typer.Typer(
    no_args_is_help=True, help="Simulated plants, what is wrong with them, and what a good system concludes."
)
Name = Annotated[str, typer.Argument(help="Scenario, by file or by name.")]


@scenarios_app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with dyncal."""
    library = _library()
    width = max(map(len, library))
    for name in library:
        print(f"{name:<{width}}  {_loaded(name).title}")


@scenarios_app.command("show")
def show(scenario: Name) -> None:
    """Print what a scenario says, as TOML, and what is expected of it."""
    from simulators.scenarios.catalogue import described

    print(described(scenario, _loaded(scenario)))


@scenarios_app.command("check")
def check(
    scenarios: Annotated[list[str] | None, typer.Argument(help="By file or by name; without any, all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a sensor and line.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Without those of more than 50 sensors.")] = False,
) -> None:
    """Replay scenarios through the real engines, without network, and compare what is concluded with what is expected.

    Exit status 1 if a conclusion is wrong.
    """
    from dyncal.runtime.logging import configure
    from dyncal.runtime.settings import LogSettings
    from simulators.scenarios.checking import MANY, as_record, check, table

    configure(LogSettings(level="error"))
    wanted = [_loaded(name) for name in scenarios or _library()]
    verdicts = []
    for scenario in wanted:
        if quick and len(scenario.stations) > MANY:
            continue
        try:
            found = check(scenario).verdicts
        except InvalidInput as error:
            raise _failed(f"dyncal scenarios check: {scenario.name}: {error}") from error
        verdicts += found
        if as_json:
            for verdict in found:
                print(json.dumps(as_record(verdict), ensure_ascii=False), flush=True)
    if not as_json:
        print(table(verdicts))
    raise typer.Exit(0 if all(verdict.ok for verdict in verdicts) else 1)


def _library() -> tuple[str, ...]:
    try:
        from simulators.scenarios.scenario import library
    except ImportError as error:
        raise _failed(f"this command needs the extra 'demo': pip install 'dyncal[demo]' ({error})") from error
    return library()


def _loaded(name: str) -> Scenario:
    _library()
    from dyncal.domain.errors import InvalidSetting
    from simulators.scenarios.scenario import load_scenario

    try:
        return load_scenario(name)
    except InvalidSetting as error:
        raise _failed(str(error)) from error


def _failed(message: str) -> typer.Exit:
    sys.stderr.write(message + "\n")
    return typer.Exit(2)
