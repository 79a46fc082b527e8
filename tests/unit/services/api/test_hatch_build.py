"""The build hook of the console: when it builds, when it does not, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

HOOK = Path(__file__).parents[4] / "services" / "api" / "console" / "hatch_build.py"


@pytest.fixture(name="hook")
def load_hook() -> ModuleType:
    """Load the hook as hatchling does: by its path."""
    spec = importlib.util.spec_from_file_location("console_hook", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def console(tmp_path: Path) -> Path:
    """Give a console folder whose sources are all there and whose build is not."""
    for name in ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html", "src/a.ts"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}", encoding="utf-8")
    return tmp_path


@pytest.fixture
def commands(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Note what npm is asked for, and make the build that it would have made."""
    asked: list[tuple[str, ...]] = []

    def npm(folder: Path, *arguments: str) -> None:
        asked.append(arguments)
        if arguments[0] == "run":
            (folder / "dist").mkdir(exist_ok=True)
            (folder / "dist" / "index.html").write_text("<!doctype html>", encoding="utf-8")

    monkeypatch.setattr(hook, "_npm", npm)
    monkeypatch.delenv("DYNCAL_SKIP_CONSOLE", raising=False)
    return asked


def test_it_builds_once_and_again_when_a_source_changes(
    hook: ModuleType, console: Path, commands: list[tuple[str, ...]]
) -> None:
    hook.build(console, str)
    assert [command[0] for command in commands] == ["ci", "run"]
    hook.build(console, str)
    assert len(commands) == 2
    made = (console / "dist" / "index.html").stat().st_mtime
    os.utime(console / "src" / "a.ts", (made + 5, made + 5))
    hook.build(console, str)
    assert len(commands) == 4


def test_it_is_skipped_on_request(
    hook: ModuleType, console: Path, commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNCAL_SKIP_CONSOLE", "1")
    hook.build(console, str)
    assert commands == []


def test_a_failure_says_what_npm_said_and_what_to_do(
    hook: ModuleType, console: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DYNCAL_SKIP_CONSOLE", raising=False)
    monkeypatch.setattr(hook, "_node", lambda: ("/bin/sh", "-c"))
    (console / "package-lock.json").write_text("{", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"'npm ci --no-audit' failed with status 127(.|\n)*DYNCAL_SKIP_CONSOLE=1"):
        hook.build(console, str)


def test_the_lock_file_names_no_registry() -> None:
    lock = (HOOK.parent / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
