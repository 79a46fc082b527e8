"""From what somebody names to a source: a scenario, a recording, a data directory, an InfluxDB."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr, ValidationError

from dyncal.adapters.registry import open_registry
from dyncal.adapters.stores import SQLITE_FILE, open_store
from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import DurationNs, InstantNs, duration, iso
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import RegistrySettings, StoreSettings
from edge_agent import declared
from edge_agent.settings import EdgeSettings
from simulators.recordings import is_recording, open_recording
from simulators.replay.recorded import RecordedSource, StoredSource
from simulators.replay.simulated import SimulatedSource
from simulators.replay.sources import Chosen, Source
from simulators.scenarios.scenario import load_scenario

INFLUX: Final = "influx:"
REGISTRY_FILE: Final = "registry.sqlite"

_TOGETHER_NS: Final = duration(0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What of a source is wanted.

    Attributes
    ----------
    seconds : float, optional
        Length of a simulated scenario [s]; as long as it lasts if absent.
    gather_ns : int, optional
        As `Options.gather_ns`: whoever can, reads in such spans.
    sensors : tuple of str, optional
    from_ns, to_ns : int, optional
    plant : EdgeSettings, optional
        Of the plant whose samples are replayed: who reads an InfluxDB takes sensors and pairings from there.
    store : StoreSettings, optional
        Credentials of an InfluxDB.
    """

    seconds: float | None = None
    gather_ns: DurationNs | None = None
    sensors: tuple[str, ...] | None = None
    from_ns: InstantNs | None = None
    to_ns: InstantNs | None = None
    plant: EdgeSettings | None = None
    store: StoreSettings | None = None


def open_source(source: str, wish: Wish, stack: ExitStack) -> Source:
    """Return a source; what it holds open is closed by `stack`.

    Raises
    ------
    InvalidSetting, InvalidData
        If it is none, or lacks something: which file or key, and what to do.
    StoreUnavailable
        If a store cannot be opened.
    """
    found = _opened(source, wish, stack)
    known = {stream.sensor.id for stream in found.streams}
    strangers = sorted(set(wish.sensors or ()) - known)
    if strangers:
        raise InvalidSetting(f"{source}: there is no sensor {', '.join(strangers)}; it has {', '.join(sorted(known))}")
    if isinstance(found, StoredSource):  # reads nothing else
        return found
    return Chosen(found, wish.sensors, wish.from_ns, wish.to_ns)


def _opened(source: str, wish: Wish, stack: ExitStack) -> Source:
    if source.startswith(INFLUX):
        return _influx(source, wish, stack)
    path = Path(source)
    if path.is_dir():
        return _directory(path, wish, stack)
    if path.is_file() and path.suffix == ".sqlite":
        return _directory(path.parent, wish, stack, path)
    if is_recording(source):
        return RecordedSource(open_recording(path), wish.gather_ns or 0)
    scenario = load_scenario(source)
    return SimulatedSource(scenario, duration(scenario.lasts_s if wish.seconds is None else wish.seconds))


def _directory(path: Path, wish: Wish, stack: ExitStack, file: Path | None = None) -> Source:
    samples = path / SQLITE_FILE if file is None else file
    registry = path / REGISTRY_FILE
    for needed, what in ((samples, "a store of samples"), (registry, "the registry, which knows the sensors")):
        if not needed.is_file():
            raise InvalidSetting(f"{needed}: there is no such file: a data directory has {what} there")
    store = stack.enter_context(closing(open_store(StoreSettings(path=samples), path)))
    return _stored(store, *_known(registry, stack), wish, str(path))


def _known(registry: Path, stack: ExitStack) -> tuple[list[Sensor], list[Pairing]]:
    """Read sensors and pairings from a copy of a registry: opening one brings its tables up to date."""
    try:
        with closing(sqlite3.connect(f"file:{registry}?mode=ro", uri=True)) as there:
            content = there.serialize()
    except sqlite3.Error as error:
        raise InvalidSetting(f"{registry}: cannot read it: {error}") from error
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dyncal-replay-")))
    (copy / REGISTRY_FILE).write_bytes(content)
    with closing(open_registry(RegistrySettings(), copy)) as opened:
        return opened.sensors(), opened.pairings()


def _influx(source: str, wish: Wish, stack: ExitStack) -> Source:
    if wish.plant is None:
        raise InvalidSetting(
            f"{source}: an InfluxDB does not know which sensors are paired: give the edge's settings by --config"
        )
    settings = _settings(source, wish.store or StoreSettings())
    store = stack.enter_context(closing(open_store(settings, Path())))
    streams = declared.stream_configs(wish.plant)
    pairings = [stream.pairing for stream in streams if stream.pairing is not None]
    return _stored(store, [stream.sensor for stream in streams], pairings, wish, source.partition("@")[2] or source)


def _settings(source: str, given: StoreSettings) -> StoreSettings:
    """Return the settings of ``influx:http://[user:password@]host:8086/DATABASE[?dialect=v1|v2|v3]``."""
    parts = urlsplit(source.removeprefix(INFLUX))
    query = parse_qs(parts.query)
    unknown = sorted(set(query) - {"dialect", "org"})
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/") or unknown:
        raise InvalidSetting(f"{source}: expected influx:http://host:8086/DATABASE, then ?dialect=v1 or v2 if you like")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    changes: dict[str, object] = {
        "kind": "influx",
        "url": f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else ""),
        "database": unquote(parts.path.strip("/")),
        **{key: values[-1] for key, values in query.items()},
    }
    if parts.username:
        changes |= {"username": unquote(parts.username), "password": SecretStr(unquote(parts.password or ""))}
    try:
        return StoreSettings.model_validate(given.model_dump() | changes)
    except ValidationError as error:
        raise InvalidSetting(describe(error, Path(source))) from error


def _stored(store: SampleStore, sensors: list[Sensor], pairings: list[Pairing], wish: Wish, name: str) -> StoredSource:
    if not sensors:
        raise InvalidSetting(f"{name}: no sensors are declared: is it the right registry, or edge's settings?")
    wanted = set(wish.sensors or ())
    references = {pairing.reference for pairing in pairings if pairing.sensor in wanted}
    chosen = [s for s in sensors if wish.sensors is None or s.id in wanted | references]
    newest = max((int(t) for s in chosen for t in store.latest(s.id).t_ns[-1:]), default=None)
    if newest is None:
        raise InvalidData(f"{name}: there are no samples of {', '.join(s.id for s in chosen[:5]) or 'any sensor'}")
    to_ns = InstantNs(newest + 1) if wish.to_ns is None else wish.to_ns
    if wish.from_ns is None:
        raise InvalidSetting(f"{name}: say from when by --from; the newest sample is of {iso(InstantNs(newest))}")
    return StoredSource(store, chosen, pairings, wish.from_ns, to_ns, wish.gather_ns or _TOGETHER_NS, name)
