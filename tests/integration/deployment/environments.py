"""Environments as `pip install dyncal[...]` makes them, of the wheel of this tree and nothing else."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def bare() -> dict[str, str]:
    """Return the environment without what leads Python or dyncal elsewhere, and with one thread for each BLAS."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DYNCAL_", "PYTHON", "VIRTUAL_"))}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@functools.cache
def wheel(directory: Path) -> Path:
    """Build the wheel of this tree; once in a directory. The console is taken as it was built."""
    run(*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(directory), str(ROOT))
    (built,) = directory.glob("dyncal-*.whl")
    return built


def install(directory: Path, built: Path, extra: str) -> Path:
    """Make a virtual environment with the wheel and an extra; return its Python. What is compiled, is when imported."""
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    run(*PIP, "--python", str(python), "install", "-q", "--no-compile", "-c", str(CONSTRAINTS), f"{built}[{extra}]")
    return python


def installed(python: Path) -> set[str]:
    """Return the normalised names of the distributions in an environment."""
    listed: list[dict[str, Any]] = json.loads(run(*PIP, "--python", str(python), "list", "--format=json"))
    return {entry["name"].lower().replace("_", "-") for entry in listed}


def run(*command: str, **more: str) -> str:
    """Return what a command prints; fail with what it says if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=bare() | more, cwd="/")
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
