"""Free ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dyncal.domain.errors import Unavailable
from dyncal.runtime import ports


def test_ports_differ_can_be_listened_at_and_are_no_clients() -> None:
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in found:
        assert 1024 < port < first_of_clients
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            server.listen()


def test_a_port_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        other = ports.free_port()
        monkeypatch.setattr(ports, "_candidates", lambda: [port, other])
        assert ports.free_port() == other
        monkeypatch.setattr(ports, "_candidates", lambda: [port])
        with pytest.raises(Unavailable, match="no 1 free ports"):
            ports.free_port()


@pytest.mark.parametrize("content", [None, "", "words\n", "1024\t65535\n"])
def test_where_the_clients_range_is_unknown_or_is_everything_there_is_a_port_all_the_same(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(ports, "_RANGE_FILE", file)
    assert ports.free_port() > 1024
