"""Sensors and pairings in bulk: files read with all that is wrong with each row, and written so that they come back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from pydantic import ValidationError

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import Pairing, Sensor, SensorId
from services.api.catalogue import Catalogue
from services.api.schemas.inventory import (
    MAX_ROWS,
    InventoryBody,
    InventoryChange,
    InventoryReport,
    InventoryRow,
)
from services.api.schemas.sensors import PairingBody

MOST_FAULTS: Final = 1000
MOST_CHANGES: Final = 1000
MAX_LINE: Final = 1 << 16
"""Longest line of a CSV file [characters]."""

MAX_LINES: Final = 4 * MAX_ROWS
MAX_COMMAS: Final = 40 * MAX_ROWS
"""Of a JSON document: more than any that has no more rows than it may."""

_FORMULA: Final = re.compile("'*[=+\\-@\t\r]")

SENSOR_COLUMNS: Final = ("id", "site", "edge", "unit", "dt_ns", "label")
PAIRING_COLUMNS: Final = tuple(PairingBody.model_fields)
COLUMNS: Final = (*SENSOR_COLUMNS, *PAIRING_COLUMNS)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    line: int
    where: str
    message: str


class BadRows(Exception):
    """A file that cannot be taken over, with all that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Line:
    """A row that was understood, and where it stood."""

    line: int
    sensor: Sensor
    pairing: Pairing | None


def read_json(content: bytes) -> list[Line]:
    """Return the rows of a JSON document. Raises `BadRows`."""
    if content.count(b",") > MAX_COMMAS:
        raise BadRows([Fault(0, "", f"there are more than {MAX_ROWS} rows")])
    try:
        document = msgspec.json.decode(content, type=dict[str, list[msgspec.Raw]], strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRows([Fault(0, "", f"this is no object with a list of items: {error}")]) from error
    if set(document) != {"items"}:
        raise BadRows([Fault(0, "", "an object with `items`, and nothing else, is expected")])
    return _rows((k, InventoryRow.model_validate_json, bytes(raw)) for k, raw in enumerate(document["items"], 1))


def read_csv(content: bytes) -> list[Line]:
    """Return the rows of a CSV file (RFC 4180) whose first line names its columns, in any order. Raises `BadRows`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRows([Fault(0, "", f"this is not UTF-8: {error.reason} at byte {error.start}")]) from error
    reader = csv.DictReader(_lines(text), restkey="", strict=True)
    try:
        names = reader.fieldnames or ()
        _check_columns(names)
        return _rows(_csv_rows(reader))
    except csv.Error as error:
        raise BadRows([Fault(reader.line_num, "", f"this is no CSV: {error}")]) from error


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a file. Raises `csv.Error` where one, or their number, is beyond all sense."""
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > MAX_LINE:
            raise csv.Error(f"line {number} has {len(line)} characters; at most {MAX_LINE} are read")
        if number > MAX_LINES:
            raise csv.Error(f"there are more than {MAX_LINES} lines")
        yield line


def _check_columns(names: Iterable[str]) -> None:
    given = list(names)
    faults = [Fault(1, name[:100], "there is no such column") for name in given if name not in COLUMNS]
    faults += [Fault(1, name, "this column is there twice") for name in COLUMNS if given.count(name) > 1]
    faults += [Fault(1, name, "this column is missing") for name in SENSOR_COLUMNS[:5] if name not in given]
    if faults:
        raise BadRows(faults[:MOST_FAULTS])


def _csv_rows(reader: csv.DictReader[str]) -> Iterator[tuple[int, Any, Any]]:
    for row in reader:
        yield reader.line_num, _of_cells, row


def _of_cells(row: Mapping[str, Any]) -> InventoryRow:
    if "" in row:
        raise InvalidData("there are more cells than columns")
    cells = {name: _unquoted(text) for name, text in row.items() if text}
    made: dict[str, Any] = {name: _unquoted(row[name]) for name in SENSOR_COLUMNS if row.get(name) is not None}
    paired: dict[str, Any] = {name: cells[name] for name in PAIRING_COLUMNS if name in cells}
    if "reference" in paired:
        if "tolerance" in paired:
            paired["tolerance"] = _tolerances(paired["tolerance"])
        made["pairing"] = paired
    elif paired:
        raise InvalidData(f"{next(iter(paired))}: a pairing needs a reference")
    return InventoryRow.model_validate(made)


def _tolerances(text: str) -> dict[str, float]:
    made = {}
    for part in text.split():
        name, sign, number = part.partition("=")
        try:
            made[name] = float(number)
        except ValueError:
            sign = ""
        if not name or not sign:
            raise InvalidData(f"tolerance: {part[:80]!r} is not name=number")
    return made


def _rows(raw: Iterable[tuple[int, Any, Any]]) -> list[Line]:
    """Return rows that are right by themselves, and no two of which are about one sensor. Raises `BadRows`."""
    lines: list[Line] = []
    faults: list[Fault] = []
    seen: dict[SensorId, int] = {}
    for line, understand, content in raw:
        if len(faults) >= MOST_FAULTS or len(lines) >= MAX_ROWS:
            if len(lines) >= MAX_ROWS:
                faults.append(Fault(line, "", f"there are more than {MAX_ROWS} rows"))
            break
        try:
            sensor, pairing = understand(content).to_domain()
        except ValidationError as error:
            faults += [Fault(line, _where(f["loc"]), str(f["msg"])[:300]) for f in error.errors()[:20]]
        except InvalidData as error:
            faults.append(Fault(line, "", str(error)[:300]))
        else:
            before = seen.setdefault(sensor.id, line)
            if before != line:
                faults.append(Fault(line, "id", f"sensor {sensor.id} stands in line {before} already"))
            lines.append(Line(line, sensor, pairing))
    if faults:
        raise BadRows(faults)
    return lines


def _where(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place)[:100]


def plan(lines: list[Line], catalogue: Catalogue, *, dry_run: bool) -> InventoryReport:
    """Return what rows change. Raises `BadRows` where a reference is neither among them nor known."""
    known = catalogue.sensors.keys() | {line.sensor.id for line in lines}
    faults = [
        Fault(line.line, "reference", f"there is no sensor {line.pairing.reference}")
        for line in lines
        if line.pairing is not None and line.pairing.reference not in known
    ]
    if faults:
        raise BadRows(faults[:MOST_FAULTS])
    changes = []
    for line in lines:
        of_sensor = _change(catalogue.sensors.get(line.sensor.id), line.sensor)
        of_pairing = _change(catalogue.pairings.get(line.sensor.id), line.pairing)
        if of_sensor != "same" or of_pairing != "same":
            changes.append((line, of_sensor, of_pairing))
    shown = [
        InventoryChange(line=line.line, id=line.sensor.id, sensor=of_sensor, pairing=of_pairing)
        for line, of_sensor, of_pairing in changes[:MOST_CHANGES]
    ]
    return InventoryReport(dry_run=dry_run, n_rows=len(lines), n_changed=len(changes), changes=shown)


def _change(before: object, after: object) -> Literal["new", "changed", "same"]:
    if after is None or before == after:
        return "same"
    return "new" if before is None else "changed"


def as_json(catalogue: Catalogue) -> bytes:
    """Return all sensors with their pairings as JSON."""
    rows = [InventoryRow.of(s, catalogue.pairings.get(s.id)) for s in catalogue.sensors.values()]
    return InventoryBody.model_construct(items=rows).model_dump_json().encode()


def as_csv(catalogue: Catalogue) -> bytes:
    """Return all sensors with their pairings as CSV; numbers in the shortest form that reads back as they were."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for sensor in catalogue.sensors.values():
        pairing = catalogue.pairings.get(sensor.id)
        cells = [_cell(getattr(sensor, name)) for name in SENSOR_COLUMNS]
        if pairing is not None:
            cells += [_cell(getattr(pairing, name)) for name in PAIRING_COLUMNS]
        writer.writerow([*cells, *[""] * (len(COLUMNS) - len(cells))])
    return out.getvalue().encode()


def _unquoted(text: str) -> str:
    """Return what `_cell` made a cell of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _cell(value: object) -> str:
    """Return a cell. Text that a spreadsheet would take for a formula gets an apostrophe, which reading takes away.

    Labels and units come from OPC UA servers too, and who opens the file runs what they say otherwise.
    """
    if value is None:
        return ""
    if isinstance(value, str) and _FORMULA.match(value):
        return "'" + value
    if isinstance(value, Mapping):
        return " ".join(f"{name}={share!r}" for name, share in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
