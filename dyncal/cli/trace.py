"""`dyncal trace`: what the logs say of one block of samples, from the edge to the alarm."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SensorId, sensor_id
from dyncal.domain.time import NS_PER_S, InstantNs, iso, parse_iso
from dyncal.domain.traces import instant_of, is_of, traceparent

_TRACE: Final = re.compile(r"\b[0-9a-f]{32}\b")


def trace(
    what: Annotated[str, typer.Argument(metavar="TRACE|SENSOR", help="A trace id, as an alarm has it; or a sensor.")],
    instant: Annotated[
        str | None, typer.Argument(metavar="[INSTANT]", help="Of a stored sample: ISO 8601, or nanoseconds since 1970.")
    ] = None,
    log: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Logs of the programs, of any of them; else stdin.")
    ] = None,
) -> None:
    """Show what the logs say of a block of samples: that of a trace id, or the one that a stored sample lies in.

    Exit status 1 where they say nothing. Blocks are in the logs as `trace.one_in` has them followed.
    """
    try:
        lines = [line for file in log or [] for line in file.read_text(errors="replace").splitlines()]
        if not log:
            lines = sys.stdin.read().splitlines()
        found = what if instant is None else block_of(sensor_id(what), _instant(instant), lines)
        first_ns = instant_of(found)
    except (InvalidData, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    said = list(saying(found, lines))
    print(f"trace {found}: the block that begins at {iso(first_ns)}; traceparent {traceparent(found, 'edge.spooled')}")
    for line in said:
        print(line)
    raise typer.Exit(0 if said else 1)


def saying(trace: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are about a trace."""
    return (line for line in lines if trace in line)


def block_of(sensor: SensorId, instant: InstantNs, lines: Iterable[str]) -> str:
    """Return the trace of the newest block of a sensor in the logs that begins no later than `instant`.

    Raises
    ------
    InvalidData
        If there is none.
    """
    traces: set[str] = {found for line in lines for found in _TRACE.findall(line)}
    begun = [found for found in traces if instant_of(found) <= instant and is_of(found, sensor)]
    if not begun:
        raise InvalidData(f"the logs name no block of {sensor} that begins by {iso(instant)}: see trace.one_in")
    newest: str = max(begun, key=instant_of)
    before_s = (instant - instant_of(newest)) / NS_PER_S
    typer.echo(f"the sample is {before_s:.6g} s after the beginning of the last block in the logs", err=True)
    return newest


def _instant(text: str) -> InstantNs:
    return InstantNs(int(text)) if text.lstrip("-").isdigit() else parse_iso(text)
