from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.settings import BrokerSettings, ProgramSettings, Section, StoreSettings, load, origin_of, read_file


class DemoSection(Section):
    rate_hz: float = Field(10.0, gt=0)
    """Rate [Hz]."""


class Settings(ProgramSettings):
    store: StoreSettings = StoreSettings()
    edge: DemoSection = DemoSection()


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "dyncal.toml"
    file.write_text(text, encoding="utf-8")
    return file


def fault(tmp_path: Path, text: str) -> str:
    with pytest.raises(InvalidSetting) as caught:
        load(Settings, written(tmp_path, text))
    return str(caught.value)


def test_defaults_need_no_file() -> None:
    assert load(Settings).broker.port == 1883


def test_file_sets_and_sections_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    settings = load(Settings, written(tmp_path, 'site = "p1"\n[broker]\nport = 8883\n[api]\nwhatever = 1\n'))
    assert (settings.site, settings.broker.port) == ("p1", 8883)


def test_environment_is_above_the_file_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_BROKER__PORT", "2000")
    settings = load(Settings, written(tmp_path, '[broker]\nport = 8883\nhost = "b"\n'))
    assert (settings.broker.host, settings.broker.port) == ("b", 2000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[broker]\nport = 70000\n", ["dyncal.toml", "broker.port", "70000", "65535"]),
        ("[broker]\nport = 'x'\n", ["dyncal.toml", "broker.port", "'x'", "integer"]),
        ("[edge]\nrate_hz = 0\n", ["edge.rate_hz", "= 0", "greater than 0"]),
        ("[log]\nlevel = 'loud'\n", ["log.level", "'loud'", "'debug'"]),
        ("[broker]\nprot = 1\n", ["broker.prot: unknown key", "did you mean 'port'", "keepalive_s"]),
        ("[brokre]\nport = 1\n", ["dyncal.toml", "'brokre'", "broker"]),
        ("[store]\nurl = 7\n", ["store.url = 7", "string"]),
        ("site = '../x'\n", ["site", "'../x'"]),
        ("broker = 3\n", ["broker", "= 3"]),
        ("[broker\n", ["dyncal.toml", "not TOML"]),
    ],
)
def test_faults_name_file_key_value_and_what_was_expected(tmp_path: Path, text: str, words: list[str]) -> None:
    said = fault(tmp_path, text)
    for word in words:
        assert word in said
    assert "pydantic" not in said


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    said = fault(tmp_path, "[broker]\nport = 0\nkeepalive_s = 1\n")
    assert len(said.splitlines()) == 2


def test_fault_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_BROKER__PORT", "seventy")
    with pytest.raises(InvalidSetting, match=r"DYNCAL_BROKER__PORT.*seventy"):
        load(Settings)


def test_unknown_section_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_BROKR__PORT", "1")
    with pytest.raises(InvalidSetting, match=r"DYNCAL_BROKR__PORT.*brokr"):
        load(Settings)


def test_unknown_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_BROKER__PROT", "1")
    with pytest.raises(InvalidSetting, match="DYNCAL_BROKER__PROT"):
        load(Settings)


def test_secrets_do_not_reach_messages(tmp_path: Path) -> None:
    for text in (
        "[broker]\npassword = ['hunter2']\n",
        "[broker]\npasword = 'hunter2'\nport = 0\n",
        "[store]\ntoken = ['hunter2']\n",
        "store = [{ token = 'hunter2' }]\n",
    ):
        assert "hunter2" not in fault(tmp_path, text)
    settings = load(Settings, written(tmp_path, "[broker]\npassword = 'hunter2'\n"))
    assert "hunter2" not in repr(settings)
    assert settings.broker.resolved_password() == "hunter2"


def test_password_comes_from_a_file_which_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(" secret \n")
    assert BrokerSettings(password_file=tmp_path / "p").resolved_password() == "secret"
    assert StoreSettings(password_file=tmp_path / "p").resolved_password() == "secret"
    with pytest.raises(InvalidSetting, match=r"broker\.password_file.*absent"):
        BrokerSettings(password_file=tmp_path / "absent").resolved_password()


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"absent\.toml"):
        load(Settings, tmp_path / "absent.toml")


def test_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = read_file(written(tmp_path, "[broker]\nport = 1\n"))
    monkeypatch.setenv("DYNCAL_BROKER__HOST", "b")
    assert origin_of(("broker", "port"), content) == "file"
    assert origin_of(("broker", "host"), content) == "environment"
    assert origin_of(("broker", "keepalive_s"), content) == "default"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load(Settings).broker, "port", 5)  # noqa: B010  as a checker would not let pass
