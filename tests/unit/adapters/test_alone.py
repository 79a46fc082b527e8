"""One process for a part of the work on a registry, whatever its data directory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dyncal.adapters.registry.alone import Alone
from dyncal.domain.errors import InvalidSetting, StoreUnavailable, Unavailable
from dyncal.runtime.settings import RegistrySettings


def test_a_second_one_on_the_same_registry_is_refused_and_another_part_is_not(tmp_path: Path) -> None:
    shared = RegistrySettings(url=f"sqlite:///{tmp_path}/shared/registry.sqlite")
    with closing(Alone(shared, tmp_path / "a", "api", "another API service")) as first:
        first.renew()
        with pytest.raises(Unavailable, match="another API service runs on it"):
            Alone(shared, tmp_path / "b", "api", "another API service")
        Alone(shared, tmp_path / "b", "calibrate", "another").close()
        own = RegistrySettings()
        with closing(Alone(own, tmp_path / "a", "api", "x")), closing(Alone(own, tmp_path / "b", "api", "x")):
            pass
    Alone(shared, tmp_path / "b", "api", "another API service").close()


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"registry\.url"):
        Alone(RegistrySettings(url="nothing"), tmp_path, "api", "x")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
        Alone(RegistrySettings(url="postgresql+psycopg://nobody@127.0.0.1:1/none"), tmp_path, "api", "x")
