"""Schemathesis over the whole published HTTP interface, in each role: what generated requests find.

    python -m tests.hostile.http [--role ROLE] [--examples N] [--phases coverage,fuzzing] [--max-time S]

A service on a real port with a small plant behind it, access closed, and a key for each role. It must not answer with a
server error, must keep to its own schemas, and must refuse what the role matrix does not admit: every answer that was
recorded is held against that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from dyncal.domain.access import Role
from dyncal.domain.time import InstantNs
from dyncal.ports.access import KeyRecord
from dyncal.ports.records import Act
from services.api.access import secrets
from services.api.access.needs import Rule, matrix
from services.api.app import create_app
from tests.integration.api.plant import EDGE, Plant, running

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
NOBODY = "nobody"
ROLES = (NOBODY, *Role)

# A stream never ends; what asks an edge waits for one that is not there; a session would be the next requests' own.
LEFT_OUT = (r"^/v1/stream$", r"^/v1/edges/\{edge\}/(browse|topics)$", r"^/v1/session$")
REVOKING = "DELETE /v1/keys/{key_id}"
"""Asked by itself: an administrator finds the key of the run in a list, and what comes after that shows nothing."""

_REFUSED = frozenset({401, 403, 404, 405, 413, 421, 422, 429})


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    role: str
    status: int = 0
    n: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    beyond: list[str] = field(default_factory=list)
    output: str = ""

    @property
    def clean(self) -> bool:
        """True if nothing was found, and something was asked."""
        return self.status == 0 and not self.beyond and self.n > 0 and not any(s >= 500 for s in self.by_status)

    def with_more(self, other: Outcome) -> Outcome:
        """Return this and another run of the same role as one; not clean where one of them is not."""
        both = self.by_status + other.by_status
        status = self.status or other.status or int(not (self.n and other.n))
        beyond, output = (
            [*self.beyond, *other.beyond],
            f"{self.output}\n{other.output}" if other.status else self.output,
        )
        return Outcome(self.role, status, self.n + other.n, both, beyond, output)


def key_of(plant: Plant, role: Role) -> str:
    """Return a new key of a role; that of an edge is bound to the plant's."""
    made, now = secrets.new_key(), InstantNs(plant.clock.now())
    edge = EDGE if role is Role.EDGE else None
    record = KeyRecord(made.id, f"fuzz {role}", role, made.hash, now, "tests", edge=edge)
    plant.registry.add_key(record, Act("tests", now))
    return made.text


async def attack(
    plant: Plant, role: str, *, examples: int, phases: str, max_time_s: int | None, revoking: bool = False
) -> Outcome:
    """Let schemathesis loose on a running plant in one role, and judge what it recorded."""
    program = Path(sys.executable).with_name("schemathesis")
    with tempfile.TemporaryDirectory() as folder:
        record, document = Path(folder) / "requests.har", Path(folder) / "openapi.json"
        document.write_text(json.dumps(app_of(plant).openapi()))
        command = [
            str(program), "run", str(document), "--url", plant.service.address, "--seed", "1", "--no-color",
            "--phases", phases, "--max-examples", str(examples), "--checks", ",".join(CHECKS),
            "--request-timeout", "20", "--report", "har", "--report-har-path", str(record),
        ]  # fmt: skip
        key = "" if role == NOBODY else key_of(plant, Role(role))
        if key:
            command += ["--header", f"Authorization: Bearer {key}", "--output-sanitize", "false"]
        if role == Role.ADMIN:
            command += ["--include-name" if revoking else "--exclude-name", REVOKING]
        command += [] if revoking else ["--exclude-path-regex", "|".join(LEFT_OUT)]
        if max_time_s is not None:
            command += ["--max-time", str(max_time_s)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
        )
        output, _ = await process.communicate()
        outcome = Outcome(role, process.returncode or 0, output=output.decode(errors="replace"))
        if record.exists():
            judge(outcome, json.loads(record.read_text()), matrix(app_of(plant)))
        if (
            key
            and not revoking
            and key[4:12] in {each.id for each in plant.registry.access_keys() if each.revoked_ns is not None}
        ):
            outcome.beyond.append("it revoked its own key: what came after that has shown nothing")
    return outcome


def app_of(plant: Plant) -> FastAPI:
    """Return an application like the one that is served."""
    deps = plant.service._deps
    assert deps is not None
    return create_app(deps)


def judge(
    outcome: Outcome, recorded: dict[str, dict[str, list[dict[str, dict[str, object]]]]], rules: list[Rule]
) -> None:
    """Count answers, and name those that gave a role more than the matrix says."""
    # A path without parameters comes before one that would take its words for one.
    patterns = sorted(rules, key=lambda rule: rule.path.count("{"))
    known = [(rule, re.compile(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(rule.path)))) for rule in patterns]
    for entry in recorded["log"]["entries"]:
        method, url = str(entry["request"]["method"]), urlsplit(str(entry["request"]["url"]))
        status = int(str(entry["response"]["status"]))
        outcome.n += 1
        outcome.by_status[status] += 1
        rule = next((r for r, p in known if r.method == method and p.fullmatch(url.path)), None)
        if rule is None or status in _REFUSED:
            continue
        admitted = rule.role is None if outcome.role == NOBODY else rule.admits(Role(outcome.role))
        if not admitted:
            outcome.beyond.append(f"{method} {url.path}: {status}")


async def run(role: str, *, examples: int, phases: str, max_time_s: int | None = None) -> Outcome:
    """Attack a fresh plant in one role."""
    # What is asked without the key, or with another, is to be refused as such, and not as the eleventh of its kind.
    limits = {"mode": "closed", "requests_hz": 1e6, "requests_burst": 1e7, "failures": 1000, "failure_s": 0.001}
    async with running(3, history_s=10, access=limits) as plant:
        found = await attack(plant, role, examples=examples, phases=phases, max_time_s=max_time_s)
        if role != Role.ADMIN:
            return found
        revoked = await attack(plant, role, examples=examples, phases=phases, max_time_s=max_time_s, revoking=True)
        return found.with_more(revoked)


def main() -> int:
    """Run, and say what was found; 1 if anything was."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.http", description=__doc__)
    parser.add_argument("--role", choices=ROLES, action="append")
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument("--max-time", type=int)
    given = parser.parse_args()
    clean = True
    for role in given.role or ROLES:
        found = asyncio.run(run(role, examples=given.examples, phases=given.phases, max_time_s=given.max_time))
        said = "clean" if found.clean else f"FOUND SOMETHING (status {found.status})"
        sys.stdout.write(f"{role}: {said}; {found.n} requests, {dict(sorted(found.by_status.items()))}\n")
        if not found.clean:
            sys.stdout.write(
                "\n".join(line[:400] for line in [*found.beyond[:20], *found.output.splitlines()[-80:]]) + "\n"
            )
        sys.stdout.flush()
        clean = clean and found.clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
