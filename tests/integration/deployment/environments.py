"""Environments as images have them: made by the commands of a container file, of the wheel of this tree alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CONTAINERS = ROOT / "deploy" / "containers"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def bare() -> dict[str, str]:
    """Return the environment without what leads Python or dyncal elsewhere, and with one thread for each BLAS."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DYNCAL_", "PYTHON", "VIRTUAL_"))}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def commands(containerfile: Path) -> list[str]:
    """Return what the first stage of a container file runs."""
    stage = containerfile.read_text().split("\nFROM ")[1].replace("\\\n", " ")
    return [line.removeprefix("RUN ") for line in stage.splitlines() if line.startswith("RUN ")]


def build(containerfile: Path, directory: Path, **more: str) -> Path:
    """Run what a container file runs, below `directory` in place of /, on this tree; return the Python it makes.

    The wheel is built with what is installed here, not with packages fetched for it, and what is compiled, is when it
    is imported.
    """
    for command in commands(containerfile):
        here = command.replace("/opt/dyncal", f"{directory}/opt").replace("/wheels", f"{directory}/wheels")
        here = here.replace("pip wheel", "pip wheel --quiet --no-build-isolation")
        here = here.replace("pip --python", "pip --quiet --python")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        run(
            "/bin/sh",
            "-c",
            here,
            cwd=str(ROOT),
            PATH=path,
            PIP_NO_COMPILE="1",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            **more,
        )
    return directory / "opt" / "bin" / "python"


def installed(python: Path) -> set[str]:
    """Return the normalised names of the distributions in an environment."""
    listed: list[dict[str, Any]] = json.loads(run(*PIP, "--python", str(python), "list", "--format=json"))
    return {entry["name"].lower().replace("_", "-") for entry in listed}


def run(*command: str, cwd: str = "/", **more: str) -> str:
    """Return what a command prints; fail with what it says if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=bare() | more, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
