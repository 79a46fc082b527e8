"""Members on disk: Parquet for numbers, JSON for words; written under another name first, then moved.

::

    NAME/observed.parquet   t, channel, value: a recording; or the points of a laboratory
    NAME/member.json        what a method is told: task, model, units, trials with what is stated of each
    NAME/truth.json         what it is not told
    NAME/truth.parquet      the true measurand, where no channel shows it
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from simulators.datasets.definitions import DELAY, DriftSpec, Family, LaboratorySpec, Member, Part, SampledSpec
from simulators.datasets.trials import INDICATION, REFERENCE, Trial
from simulators.datasets.units import difference_unit, parameter_unit, real, to_dsi
from simulators.recordings.blocks import Block
from simulators.recordings.files import open_recording, write_recording
from simulators.recordings.info import ChannelInfo, PairingInfo, RecordingInfo, SourceInfo

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = "dyncal-dataset/1"
OBSERVED, MEMBER, TRUTH, MEASURAND = "observed.parquet", "member.json", "truth.json", "truth.parquet"
POINTS: Final = ("f_hz", "real", "imag", "u")


@dataclass(frozen=True, slots=True, eq=False)
class MemberData:
    """A member as it is on disk.

    Attributes
    ----------
    about : mapping
        The content of `member.json`, without its trials.
    trials : tuple of Trial
        With an empty `truth` and `measurand` where the truth is not there.
    """

    about: dict[str, Any]
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.about["name"])

    @property
    def has_truth(self) -> bool:
        """Whether the truth is there."""
        return bool(self.trials) and bool(self.trials[0].truth)


def about(spec: Member, family: Family, part: Part) -> dict[str, Any]:
    """Return what is said of a member."""
    said: dict[str, Any] = {
        "format": FORMAT,
        "version": family.version,
        "part": part,
        "name": spec.name,
        "title": spec.title,
        "task": spec.task,
        "model": str(spec.sensor.model),
        "parameters": [{"name": name, "unit": parameter_unit(name)} for name in spec.sensor.names],
        "unit": {"ucum": spec.unit, "dsi": to_dsi(spec.unit), "difference": difference_unit(spec.unit)},
        "licence": family.licence,
        "citation": family.citation,
    }
    if isinstance(spec, SampledSpec):
        said["interval"] = real("sampling interval, nominal", spec.dt_ns * 1e-9, r"\second")
        said["between_samples"] = spec.between
    if isinstance(spec, LaboratorySpec):
        said["columns"] = {"f_hz": r"\hertz", "real": r"\one", "imag": r"\one", "u": r"\one"}
    if isinstance(spec, DriftSpec):
        said["arl0"] = real("mean time between false alarms, asked for", spec.arl0_s, r"\second")
    return said


def stated(trial: Trial, unit: str) -> list[dict[str, Any]]:
    """Return what is stated with a trial as quantities, for people and programs that know D-SI."""
    said = trial.stated
    parameters, u = said.get("parameters", {}), said.get("u", {})
    found = [real(name, value, parameter_unit(name), u.get(name)) for name, value in parameters.items()]
    units = {"noise_std": unit, "u_reference_noise": unit, "band_hz": r"\hertz", "u_common": r"\one"}
    return found + [real(name, said[name], units[name]) for name in units if name in said]


def write_member(folder: Path, said: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Write the observed part of a member to a folder, whole or not at all."""
    listed = [
        {
            "trial": index,
            **({"from_ns": int(t.t_ns[0]), "to_ns": int(t.t_ns[-1]), "n": int(t.t_ns.size)} if t.t_ns.size else {}),
            "stated": t.stated,
            "quantities": stated(t, said["unit"]["difference"]),
        }
        for index, t in enumerate(trials)
    ]
    with _whole(folder) as fresh:
        _write_json(fresh / MEMBER, {**said, "trials": listed})
        if said["task"] == "frequency_response":
            _write_table(fresh / OBSERVED, _points_table(trials), said)
        else:
            _write_samples(fresh / OBSERVED, said, [(t.t_ns, t.channels) for t in trials])


def write_truth(folder: Path, said: Mapping[str, Any], trials: Sequence[Trial], salt: bytes | None) -> None:
    """Write the truth beside a member, or to a folder of its own; with the salt of its commitment if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    words: dict[str, Any] = {"format": FORMAT, "name": said["name"], "units": _truth_units(said)}
    if salt is not None:
        words["salt"] = salt.hex()
    _write_json(folder / TRUTH, {**words, "trials": [t.truth for t in trials]})
    if trials and trials[0].measurand.size:
        _write_samples(folder / MEASURAND, said, [(t.t_ns, {"measurand": t.measurand}) for t in trials])


def read_member(folder: Path, truth: Path | None = None) -> MemberData:
    """Return a member, with its truth where that lies beside it or in `truth`.

    Raises
    ------
    InvalidData
        With the file and what is wrong with it.
    """
    said = read_json(folder / MEMBER)
    listed = said.pop("trials", None)
    if said.get("format") != FORMAT or not isinstance(listed, list):
        raise InvalidData(f"{folder / MEMBER}: not a member of format {FORMAT}; make the data set again")
    beside = folder if truth is None else truth
    truths: list[dict[str, Any]] = [{} for _ in listed]
    if (beside / TRUTH).is_file():
        truths = read_json(beside / TRUTH)["trials"]
    if len(truths) != len(listed):
        raise InvalidData(f"{beside / TRUTH}: {len(truths)} trials, where {folder / MEMBER} has {len(listed)}")
    if said["task"] == "frequency_response":
        points = _read_points(folder / OBSERVED, len(listed))
        made = [
            Trial(np.empty(0, np.int64), {}, entry["stated"], known, table)
            for entry, known, table in zip(listed, truths, points, strict=True)
        ]
        return MemberData(said, tuple(made))
    observed = _read_samples(folder / OBSERVED, listed)
    measurands: Sequence[Mapping[str, FloatArray]] = [{} for _ in listed]
    if (beside / MEASURAND).is_file():
        measurands = [channels for _, channels in _read_samples(beside / MEASURAND, listed)]
    return MemberData(
        said,
        tuple(
            Trial(t_ns, channels, entry["stated"], known, measurand=measurand.get("measurand", np.empty(0)))
            for (t_ns, channels), entry, known, measurand in zip(observed, listed, truths, measurands, strict=True)
        ),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object. Raises `InvalidData` with the file and what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidData(f"{path}: cannot read it: {error.strerror}") from error
    except ValueError as error:
        raise InvalidData(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidData(f"{path}: not a JSON object")
    return content


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give the name under which to write a file that takes the place of `path` when all of it is written."""
    fresh = path.with_name(f".{path.name}.new")
    yield fresh
    fresh.replace(path)


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a folder that comes to be under its name when all of it is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _write_json(path: Path, words: Mapping[str, Any]) -> None:
    with replaced(path) as fresh:
        fresh.write_text(json.dumps(words, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _truth_units(said: Mapping[str, Any]) -> dict[str, str]:
    units = {entry["name"]: entry["unit"] for entry in said["parameters"]}
    ns = r"\nano\second"
    own = {"noise_std": said["unit"]["difference"], "measurand": said["unit"]["dsi"], "from_ns": ns, "to_ns": ns}
    return units | own


def _write_samples(
    path: Path, said: Mapping[str, Any], trials: Sequence[tuple[Int64Array, dict[str, FloatArray]]]
) -> None:
    """Write a recording: of each trial one channel after the other."""
    names = tuple(trials[0][1])
    rate_hz = 1 / said["interval"]["value"]
    roles: dict[str, Literal["sensor", "reference"]] = {INDICATION: "sensor", REFERENCE: "reference"}
    unit = said["unit"]
    channels = {
        name: ChannelInfo(unit=unit["ucum"], si_unit=unit["dsi"], rate_hz=rate_hz, role=roles.get(name, "channel"))
        for name in names
    }
    dead_time = any(entry["name"] == DELAY for entry in said["parameters"])
    pairs = [PairingInfo(sensor=INDICATION, reference=REFERENCE, model=ModelKind(said["model"]), dead_time=dead_time)]
    source = SourceInfo(
        kind="dataset", name=said["name"], title=said["title"], licence=said["licence"], citation=said["citation"]
    )
    info = RecordingInfo(channels=channels, pairings=pairs if set(roles) <= set(names) else [], source=source)
    with write_recording(path, info) as writer:
        for t_ns, values in trials:
            for name in names:
                writer.write(Block(name, t_ns, values[name]))


def _points_table(trials: Sequence[Trial]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    numbers = np.repeat(np.arange(len(trials), dtype=np.int32), [t.points["f_hz"].size for t in trials])
    columns = {name: pa.array(np.concatenate([t.points[name] for t in trials])) for name in POINTS}
    return pa.table({"trial": pa.array(numbers), **columns})


def _write_table(path: Path, table: pa.Table, said: Mapping[str, Any]) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    known = json.dumps({"dataset": dict(said)}, ensure_ascii=False).encode()
    with replaced(path) as fresh:
        pq.write_table(table.replace_schema_metadata({b"dyncal": known}), fresh, compression="zstd")


def _read_table(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise InvalidData("data sets need pyarrow: pip install 'dyncal[services]'") from error
    try:
        return pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise InvalidData(f"{path}: cannot be read: {error}; make the data set again") from error


def _read_samples(path: Path, listed: Sequence[Mapping[str, Any]]) -> list[tuple[Int64Array, dict[str, FloatArray]]]:
    """Return instants and channels of each trial."""
    parts: dict[str, list[Block]] = {}
    for block in open_recording(path).blocks():
        parts.setdefault(block.channel, []).append(block)
    times = {name: np.concatenate([block.t_ns for block in blocks]) for name, blocks in parts.items()}
    values = {name: np.concatenate([block.values for block in blocks]) for name, blocks in parts.items()}
    made = []
    for entry in listed:
        channels, t_ns = {}, np.empty(0, np.int64)
        for name, at in times.items():
            first = int(np.searchsorted(at, entry["from_ns"], side="left"))
            last = int(np.searchsorted(at, entry["to_ns"], side="right"))
            if last - first != entry["n"]:
                raise InvalidData(f"{path}: trial {entry['trial']} should have {entry['n']} samples of {name}")
            t_ns, channels[name] = at[first:last], values[name][first:last]
        made.append((t_ns, channels))
    return made


def _read_points(path: Path, n: int) -> list[dict[str, FloatArray]]:
    table = _read_table(path, ("trial", *POINTS))
    numbers = np.asarray(table["trial"].to_numpy())
    columns = {name: np.asarray(table[name].to_numpy(), np.float64) for name in POINTS}
    return [{name: column[numbers == k] for name, column in columns.items()} for k in range(n)]
