from __future__ import annotations

from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.faults import REDACTED, redacted_url
from dyncal.runtime.settings import load
from edge_agent.settings import EdgeSettings
from tests.unit.runtime.test_settings import written


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("opc.tpc://plc:4840/x", "opc.tpc://plc:4840/x"),
        ("opc.tcp://u@plc", "opc.tcp://u@plc"),
        ("opc.tcp://u:hunter2@plc:4840", f"opc.tcp://u:{REDACTED}@plc:4840"),
        ("postgresql:u:hunter2@h/d", f"postgresql:{REDACTED}@h/d"),
        ("postgresql://u:hunt?er2@h/d", f"postgresql://u:{REDACTED}@h/d"),
        ("postgresql://u:hun@ter2@h/d", f"postgresql://u:{REDACTED}@h/d"),
        ("postgresql://h/d?user=u&password=hunter2", f"postgresql://h/d?user={REDACTED}&password={REDACTED}"),
        ("postgresql://h/d?password=hunter2@x", f"postgresql://h/d?password={REDACTED}"),
    ],
)
def test_addresses_are_shown_without_what_is_secret(address: str, shown: str) -> None:
    assert redacted_url(address) == shown


def test_a_faulty_address_is_shown_and_its_password_is_not(tmp_path: Path) -> None:
    text = '[[edge.opcua]]\nurl = "opc.tpc://me:hunter2@plc:4840"\nnodes = [{ sensr = "A", node = "i=1" }]\n'
    with pytest.raises(InvalidSetting) as caught:
        load(EdgeSettings, written(tmp_path, text))
    said = str(caught.value)
    assert f"edge.opcua.0.url = 'opc.tpc://me:{REDACTED}@plc:4840'" in said
    assert "hunter2" not in said
    assert "edge.opcua.0.nodes.0.sensr: unknown key; did you mean 'sensor'?" in said


def test_what_is_no_address_is_shown_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"site = 'what\?'"):
        load(EdgeSettings, written(tmp_path, "site = 'what?'\n"))
