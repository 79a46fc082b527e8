"""Libraries to compare with, run in a Python environment of their own: PyDynamic needs an older numpy than dyncal has.

`run` gives arrays to a script and takes arrays back (`tests.benchmarks.foreign_scripts.exchange`); the script times
itself, within its own process. The environment is made once, below the user's cache directory. No test of the plain
test command needs it: `available` says whether it can be had.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

REQUIREMENTS: Final = ("PyDynamic==2.5.1", "padasip==1.2.2", "numpy<2.4")
ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPTS: Final = Path(__file__).resolve().parent / "foreign_scripts"

AnyArray = npt.NDArray[np.generic]


class Missing(Exception):
    """The environment cannot be made here: there is no package index within reach."""


class Failed(Exception):
    """A script ended with an error, or took too long; the text ends with what it wrote last."""


def folder() -> Path:
    """Return where the environment is, or will be: a name for each set of requirements and each Python."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = " ".join([*REQUIREMENTS, sys.version.split()[0]])
    return cache_home / "dyncal" / f"foreign-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@cache
def environment() -> Path:
    """Return the environment's Python, made first where there is none; says where.

    Raises
    ------
    Missing
        If it cannot be made.
    """
    place = folder()
    python = place / "bin" / "python"
    if not python.exists():
        _say(f"making an environment for {', '.join(REQUIREMENTS)} in {place}")
        _make(place)
    return python


def available() -> bool:
    """Return whether scripts can be run, and say why not if they cannot."""
    try:
        environment()
    except Missing as error:
        _say(str(error))
        return False
    return True


def run(
    script: str | Path, inputs: Mapping[str, npt.ArrayLike], *, timeout_s: float = 900.0, threads: int = 1
) -> dict[str, AnyArray]:
    """Run a script of the environment on arrays, and return the arrays that it gives back.

    Parameters
    ----------
    script : str or Path
        A path, or the name of a file in `tests/benchmarks/foreign_scripts`.
    inputs : mapping
        Anything that becomes an array without objects.
    threads : int
        Threads of its linear algebra.

    Raises
    ------
    Missing
        As `environment`.
    Failed
        If the script fails or takes longer than `timeout_s`.
    """
    path = SCRIPTS / script if isinstance(script, str) else script
    python = environment()
    with tempfile.TemporaryDirectory() as directory:
        given, taken = Path(directory) / "inputs.npz", Path(directory) / "outputs.npz"
        np.savez(given, **{name: np.asarray(values) for name, values in inputs.items()})  # type: ignore[arg-type]
        _execute([str(python), str(path), str(given), str(taken)], timeout_s, threads)
        if not taken.exists():
            raise Failed(f"{path.name} gave nothing back")
        with np.load(taken, allow_pickle=False) as outputs:
            return {name: outputs[name] for name in outputs.files}


def _execute(command: list[str], timeout_s: float, threads: int) -> None:
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    # a session of its own: pools that the script starts end with it
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[1]).name} took longer than {timeout_s:g} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        raise Failed(f"{Path(command[1]).name}: {said.decode(errors='replace')[-2000:]}")


def _make(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    python = fresh / "bin" / "python"
    try:
        _call([sys.executable, "-m", "venv", "--without-pip", str(fresh)])
        _call([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *REQUIREMENTS])
        try:
            fresh.rename(place)
        except OSError:  # somebody else was faster
            if not (place / "bin" / "python").exists():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _call(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise Missing(f"no environment for {', '.join(REQUIREMENTS)}: {' '.join(last)}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(0 if available() else 1)
