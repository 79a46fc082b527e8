"""The way into a program: settings, logs, service, exit status; the same for ``dyncal run P`` and ``python -m P``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dyncal.domain.errors import DyncalError, InvalidSetting
from dyncal.runtime import logging
from dyncal.runtime.files import check_files
from dyncal.runtime.reload import Reloader
from dyncal.runtime.service import EXIT_FAILED, EXIT_MISCONFIGURED, Service, run_service
from dyncal.runtime.settings import ProgramSettings, load

S = TypeVar("S", bound=ProgramSettings)


def run_program(kind: type[S], build: Callable[[S], Service], config: Path | None) -> int:
    """Read the settings, run the service until it is told to stop, and return the exit status.

    0 means stopped as asked, 1 failed, 2 not configured rightly; what went wrong is on standard error.
    """
    if not os.isatty(0):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what it asks for is what is done
    try:
        settings = load(kind, config)
        check_files(settings, config)
        logging.configure(settings.log)
        service = build(settings)
    except InvalidSetting as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_MISCONFIGURED
    except DyncalError as error:
        sys.stderr.write(f"cannot start: {error}\n")
        return EXIT_FAILED
    reload = Reloader(kind, config, settings, service)
    return run_service(service, origin="settings" if config is None else str(config), reload=reload)


def main(kind: type[S], build: Callable[[S], Service], argv: Sequence[str] | None = None) -> int:
    """Do as `run_program` with the arguments of a command line: ``[--config FILE]``."""
    # named after the package that its settings stand in: argparse would call all of them __main__.py
    parser = argparse.ArgumentParser(prog=f"python -m {kind.__module__.rpartition('.')[0]}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with the settings")
    return run_program(kind, build, parser.parse_args(argv).config)
