"""Commands; each imports what it runs when it runs, so that an edge needs no services and `--help` is quick."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

import dyncal
from dyncal.cli import releases, remote
from dyncal.cli.access import access_app
from dyncal.cli.audit import audit_app
from dyncal.cli.certificate import certificate_app
from dyncal.cli.datasets import datasets_app
from dyncal.cli.keys import keys_app
from dyncal.cli.pki import pki_app
from dyncal.cli.programs import Program
from dyncal.cli.retention import retention_app
from dyncal.cli.scenarios import scenarios_app
from dyncal.cli.score import score
from dyncal.cli.trace import trace

app = typer.Typer(
    name="dyncal",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Dynamic calibration of industrial sensors while the plant runs, with uncertainty by the GUM.",
)
config_app = typer.Typer(no_args_is_help=True, help="Show the settings of a program, or their schema.")
app.add_typer(config_app, name="config")
app.add_typer(certificate_app, name="certificate")
app.add_typer(remote.inventory_app, name="inventory")
app.add_typer(releases.sets_app, name="sets")
app.add_typer(releases.rollout_app, name="rollout")
app.command()(remote.calibrate)
app.command()(remote.report)
app.add_typer(access_app, name="access")
app.add_typer(audit_app, name="audit")
app.add_typer(pki_app, name="pki")
app.add_typer(keys_app, name="keys")
app.add_typer(retention_app, name="retention")
app.add_typer(scenarios_app, name="scenarios")
app.add_typer(datasets_app, name="datasets")
app.command()(score)
app.command()(trace)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DYNCAL_CONFIG", metavar="FILE", help="TOML file with the settings."),
]
ProgramArgument = Annotated[Program, typer.Argument(help="Which program.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# Options of these commands belong to the modules that implement them.
_PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command()
def run(program: ProgramArgument, config: ConfigOption = None) -> None:
    """Run one program until SIGTERM. Exit status: 0 stopped as asked, 1 failed, 2 not configured rightly."""
    from dyncal.cli.programs import builder, settings_class
    from dyncal.runtime.program import run_program

    try:
        kind, build = settings_class(program), builder(program)
    except ImportError as error:
        raise _failed(_not_installed(program, error)) from error
    raise typer.Exit(run_program(kind, build, config))


@app.command()
def kernels() -> None:
    """Compile the numba kernels ahead, so that the first start need not."""
    from dyncal.cli.kernels import compile_ahead

    raise typer.Exit(compile_ahead())


@config_app.command("show")
def config_show(program: ProgramArgument, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Print the settings in effect and where each comes from, secrets redacted; as TOML unless --json is given."""
    from dyncal.cli.config import as_toml, effective
    from dyncal.cli.programs import settings_class
    from dyncal.domain.errors import InvalidSetting

    try:
        shown = effective(settings_class(program), config)
    except InvalidSetting as error:
        raise _failed(str(error), status=2) from error
    print(json.dumps(shown.as_json(), indent=2) if as_json else as_toml(shown))


@config_app.command("schema")
def config_schema(program: ProgramArgument) -> None:
    """Print the JSON Schema of the settings of a program; `x-reload` says which are followed while it runs."""
    from dyncal.cli.programs import settings_class
    from dyncal.runtime.reload import told

    print(json.dumps(told(settings_class(program).model_json_schema()), indent=2))


@app.command()
def doctor(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Check what the programs need, and say what to do. Exit status 1 if anything fails."""
    from dyncal.cli.doctor import examine, failed, report

    findings = examine(config)
    print(json.dumps([finding.as_json() for finding in findings], indent=2) if as_json else report(findings))
    raise typer.Exit(1 if failed(findings) else 0)


@app.command()
def protocol(
    directory: Annotated[Path, typer.Argument(help="Where the documents go.")] = Path("docs/protocol"),
) -> None:
    """Write the JSON Schema and the AsyncAPI document of the wire protocol."""
    from dyncal.contracts.schema import write_documents

    for path in write_documents(directory):
        print(path)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; must not be there yet.")],
    config: ConfigOption = None,
    *,
    samples: Annotated[bool, typer.Option(help="Whether the embedded time-series store is in it.")] = True,
) -> None:
    """Keep all that lies below data_dir, and the registry, as they are now; the programs go on meanwhile."""
    from dyncal.cli.backup import back_up

    print(back_up(destination, config, samples=samples))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A back-up.")],
    config: ConfigOption = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Move aside what is there.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only see that it is whole.")] = False,
) -> None:
    """Put a back-up back. The programs must not be running."""
    from dyncal.cli.backup import put_back

    print(put_back(source, config, replace=replace, only_check=check))


@app.command()
def version() -> None:
    """Print the version."""
    print(dyncal.__version__)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def demo(context: typer.Context) -> None:
    """Run everything on this machine with simulated sensors, and print the address of the live page."""
    _pass_on("demo", context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def simulate(context: typer.Context) -> None:
    """Run the simulated sensors alone: an OPC UA server and MQTT devices."""
    _pass_on("simulate", context.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def replay(context: typer.Context) -> None:
    """Replay what was recorded, or is simulated, as fast as it goes or onto a broker; `replay diff A B` compares."""
    compares = context.args[:1] == ["diff"]
    _pass_on("diff" if compares else "replay", context.args[compares:], module="dyncal.cli.replay")


def _pass_on(command: str, arguments: list[str], module: str = "dyncal.cli.demo") -> None:
    """Run the function `command` of a module as a command of its own with these arguments."""
    try:
        function = getattr(importlib.import_module(module), command)
    except ImportError as error:
        raise _failed(f"this command needs the extra 'demo': pip install 'dyncal[demo]' ({error})") from error
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(command)(function)
    alone(arguments, prog_name=f"dyncal {command}")


def _not_installed(program: Program, error: ImportError) -> str:
    extra = {Program.EDGE: "edge", Program.EMBEDDED: "demo"}.get(program, "services")
    return f"dyncal run {program} needs the extra {extra!r}: pip install 'dyncal[{extra}]' ({error})"


def _failed(message: str, status: int = 1) -> typer.Exit:
    sys.stderr.write(message + "\n")
    return typer.Exit(status)
