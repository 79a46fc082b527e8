"""Making and verifying the data sets of a version."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

import dyncal
from dyncal.domain.errors import InvalidData, InvalidSetting
from simulators.datasets.definitions import FOLDER, Family, Member, Part, load_family
from simulators.datasets.digests import commitment, observed_digest, salt_of, together, truth_digest
from simulators.datasets.store import (
    MEASURAND,
    MEMBER,
    TRUTH,
    about,
    read_json,
    read_member,
    replaced,
    write_member,
    write_truth,
)
from simulators.datasets.trials import Trial, make_trial

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_SECRET: Final = re.compile(r"[0-9a-f]{64,}")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be made.

    Attributes
    ----------
    to : Path
        Folder; members that are in it already are made anew.
    only : tuple of str
        Names; empty for all.
    trials : int, optional
        The first so many of each member alone: for a quick look.
    secret, truth_to : bytes and Path, optional
        Of the blind part: what it is made from, and where its truth goes.
    """

    version: int
    part: Part
    to: Path
    only: tuple[str, ...] = ()
    trials: int | None = None
    secret: bytes | None = None
    truth_to: Path | None = None


def read_secret(path: Path) -> bytes:
    """Return the maintainer's secret from a file of 64 or more hexadecimal digits.

    Raises
    ------
    InvalidSetting
        With what is wrong with it; never what is in it.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path}: cannot be read as a secret: {error.__class__.__name__}") from error
    if not _SECRET.fullmatch(text):
        raise InvalidSetting(f"{path}: a secret is 64 or more hexadecimal digits, such as `openssl rand -hex 32` gives")
    return bytes.fromhex(text if len(text) % 2 == 0 else text[:-1])


def make(request: Request, said: Callable[[str], None] = lambda _: None) -> list[str]:
    """Make members, one after the other, and the manifest; return their names. `said` hears of each that is done.

    Raises
    ------
    InvalidSetting
        For names that there are not, and for a blind part without its secret.
    """
    family = load_family(request.version)
    members = _chosen(family, request)
    blind = request.part == "blind"
    if blind and (request.secret is None or request.truth_to is None):
        raise InvalidSetting(
            "the blind part is made by who has its secret: give --secret FILE and --truth-to DIR; everybody else gets"
            " its observed data from the maintainer, and checks them with `dyncal datasets verify`"
        )
    if blind and request.truth_to is not None and request.truth_to.resolve().is_relative_to(request.to.resolve()):
        raise InvalidSetting("--truth-to must lie outside of --to: what is handed out must not hold the truth")
    seed = request.secret if blind and request.secret is not None else family.seed.encode()
    for spec in members:
        trials = [make_trial(spec, seed, k) for k in range(min(request.trials or spec.trials, spec.trials))]
        words = about(spec, family, request.part)
        write_member(request.to / spec.name, words, trials)
        salt = salt_of(seed, spec.name) if blind else None
        beside = request.truth_to if request.truth_to is not None else request.to
        write_truth(beside / spec.name, words, trials, salt)
        _enter(request, family, spec.name, _entry(spec.name, trials, salt))
        said(spec.name)
    return [spec.name for spec in members]


def _chosen(family: Family, request: Request) -> list[Member]:
    known = family.of(request.part)
    unknown = [name for name in request.only if name not in known]
    if unknown:
        raise InvalidSetting(f"there is no {', '.join(unknown)} in the {request.part} part: it has {', '.join(known)}")
    return [known[name] for name in (request.only or known)]


def _entry(name: str, trials: Sequence[Trial], salt: bytes | None) -> dict[str, Any]:
    truth = together(truth_digest(t) for t in trials)
    sealed = {"truth": truth} if salt is None else {"commitment": commitment(name, salt, truth)}
    return {
        "trials": len(trials),
        "first": observed_digest(trials[0]),
        "observed": together(observed_digest(t) for t in trials),
        **sealed,
    }


def _enter(request: Request, family: Family, name: str, entry: dict[str, Any]) -> None:
    """Write a member into the manifest, and all files into the list of sums."""
    path = request.to / MANIFEST
    held = read_json(path) if path.is_file() else {}
    if held and (held.get("version"), held.get("part")) != (family.version, request.part):
        raise InvalidSetting(f"{request.to} holds another version or part; give another --to")
    members = {**held.get("members", {}), name: entry}
    made_with = {"dyncal": dyncal.__version__, "numpy": np.__version__, "python": platform.python_version()}
    manifest = {
        "format": "dyncal-datasets/1",
        "version": family.version,
        "part": request.part,
        "title": family.title,
        "licence": family.licence,
        "citation": family.citation,
        "made_with": made_with,
        "members": {key: members[key] for key in sorted(members)},
    }
    _replace(path, json.dumps(manifest, indent=1) + "\n")
    files = [MANIFEST, *(str(f.relative_to(request.to)) for key in sorted(members) for f in _files(request.to / key))]
    _replace(request.to / SUMS, "".join(f"{_sum(request.to / file)}  {file}\n" for file in files))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(path: Path, text: str) -> None:
    with replaced(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def contents(version: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the tree holds of a version: digests of the open part's members, and those of the blind part."""
    path = FOLDER / f"v{version}" / "contents.json"
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def verify(folder: Path, truth: Path | None = None) -> Iterator[str]:
    """Yield what is wrong with data sets on disk, nothing if all is well.

    Files against their SHA-256; contents against the manifest, and against what this version is in the tree. With
    `truth`, a revealed truth of the blind part against its commitment in the tree.

    Raises
    ------
    InvalidData
        If the folder holds no data sets, or a truth is asked for that is not there.
    """
    manifest = read_json(folder / MANIFEST)
    yield from _wrong_sums(folder)
    known = contents(int(manifest["version"]))[str(manifest["part"])]
    for name, entry in manifest["members"].items():
        try:
            yield from _wrong_contents(folder / name, entry, known.get(name), truth / name if truth else None)
        except InvalidData as error:
            yield str(error)


def _wrong_sums(folder: Path) -> Iterator[str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidData(f"{folder / SUMS}: cannot read it: {error.strerror}") from error
    for line in lines:
        stated, _, file = line.partition("  ")
        path = folder / file
        if not path.is_file():
            yield f"{path}: missing; make it again"
        elif _sum(path) != stated:
            yield f"{path}: its SHA-256 is not the one in {SUMS}: it was changed or damaged; make it again"


def _wrong_contents(
    folder: Path, entry: dict[str, Any], known: dict[str, Any] | None, truth: Path | None
) -> Iterator[str]:
    member = read_member(folder, truth)
    found = [observed_digest(t) for t in member.trials]
    if together(found) != entry["observed"]:
        yield f"{folder}: its numbers are not those of the manifest"
    if known is None:
        yield f"{folder / MEMBER}: version {member.about['version']} has no such member"
        return
    if found and found[0] != known["first"]:
        yield f"{folder}: its first trial is not that of version {member.about['version']}"
    elif len(found) == known["trials"] and together(found) != known["observed"]:
        yield f"{folder}: its numbers are not those of version {member.about['version']}"
    if truth is None and not member.has_truth:
        return
    digest = together(truth_digest(t) for t in member.trials)
    if "commitment" in known:
        yield from _wrong_seal(folder.name, truth, known, digest)
    elif len(found) == known["trials"] and digest != known["truth"]:
        yield f"{folder / TRUTH}: not the truth of version {member.about['version']}"


def _wrong_seal(name: str, truth: Path | None, known: dict[str, Any], digest: str) -> Iterator[str]:
    if truth is None or not (truth / TRUTH).is_file():
        yield f"{name}: no revealed truth; give --truth DIR with {name}/{TRUTH} and {MEASURAND} where it has one"
        return
    salt = bytes.fromhex(str(read_json(truth / TRUTH).get("salt", "")))
    if commitment(name, salt, digest) != known["commitment"]:
        yield f"{truth / TRUTH}: not the truth that was sealed: its commitment is another"
