"""An InfluxDB 2.x of one's own, where somebody has built or installed one."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from typing import Final

from tests.servers import Influxd

PROGRAM: Final = os.environ.get("DYNCAL_INFLUXD2", "")
"""Path of the program; without it there is no such server."""

ORG: Final = "plant"
TOKEN: Final = "all-powerful"
PASSWORD: Final = "long enough"


@dataclass
class Influxd2(Influxd):
    """InfluxDB 2.x with an organisation and a token that may do everything in it."""

    def set_up(self) -> None:
        """Make the organisation, once, with a bucket that nothing is written to."""
        wanted = {"username": "boss", "password": PASSWORD, "org": ORG, "bucket": "first", "token": TOKEN}
        request = urllib.request.Request(f"{self.url}/api/v2/setup", json.dumps(wanted).encode())
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            assert answer.status == 201

    def _command(self) -> list[str]:
        return [
            PROGRAM,
            f"--bolt-path={self.directory / 'influxd.bolt'}",
            f"--sqlite-path={self.directory / 'influxd.sqlite'}",
            f"--engine-path={self.directory / 'engine'}",
            f"--http-bind-address=127.0.0.1:{self.port}",
            "--reporting-disabled",
            "--log-level=error",
        ]
