"""Settings: who listens to the world says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.settings import load
from services.api.server import bind
from services.api.settings import ApiSection, ApiSettings


def test_it_listens_on_loopback_unless_told(tmp_path: Path) -> None:
    assert load(ApiSettings).api.host == "127.0.0.1"
    file = tmp_path / "dyncal.toml"
    file.write_text('[api]\nhost = "0.0.0.0"\n', encoding="utf-8")
    with pytest.raises(InvalidSetting, match="allow_remote") as caught:
        load(ApiSettings, file)
    assert str(file) in str(caught.value)
    file.write_text('[api]\nhost = "0.0.0.0"\nallow_remote = true\n', encoding="utf-8")
    assert not load(ApiSettings, file).api.loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_known_by_any_of_its_names(host: str) -> None:
    assert ApiSection(host=host).loopback


@pytest.mark.parametrize("host", ["", "::", "10.0.0.1", "example.com", "0"])
def test_anything_else_is_not_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="allow_remote"):
        ApiSection(host=host)


def test_an_address_that_is_taken_is_named() -> None:
    with bind(ApiSection(port=0)) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"api.port = {port}"):
            bind(ApiSection(port=port))
