"""The `dyncal` command. Nobody imports this package."""

from __future__ import annotations

from dyncal.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


__all__ = ["app", "main"]
