from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from services.api.outlets.signing import headers, read_keys

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_scheme(tmp_path: Path) -> None:
    """Of the documentation of Standard Webhooks' reference libraries, made independently of this code."""
    (tmp_path / "secret").write_text(KEY + "\n")
    keys = read_keys(tmp_path / "secret", "here")
    body = b'{"test": 2432232314}'
    signed = headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_keys_sign_twice(tmp_path: Path) -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    (tmp_path / "secret").write_text(f"{KEY}\n{other}\n")
    first, second = headers(read_keys(tmp_path / "secret", "here"), "m", 1, b"")["webhook-signature"].split()
    assert first != second


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_AAAA", "whsec_!!!", "whsec_" + "A" * 200, "whsec_Ä"])
def test_a_key_that_is_none_is_refused_under_its_setting(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    with pytest.raises(InvalidSetting, match=r"the\.setting"):
        read_keys(tmp_path / "secret", "the.setting")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot read"):
        read_keys(tmp_path / "none", "here")
