"""`dyncal backup` and `dyncal restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyncal.cli.reporting import reported


def back_up(destination: Path, config: Path | None, *, samples: bool) -> str:
    """Make a back-up, look at every byte of it, and return what to say."""
    with reported("services"):
        import dyncal
        from dyncal.adapters import backup
        from dyncal.runtime.clocks import SystemClock

        settings, url = _where(config)
        now = SystemClock().now()
        backup.make(
            settings.data_dir, url, destination, now, site=settings.site, version=dyncal.__version__, samples=samples
        )
        return f"{_said(destination)}{_outside(settings)}"


def put_back(source: Path, config: Path | None, *, replace: bool, only_check: bool) -> str:
    """Put a back-up back, or only look at it; return what to say."""
    with reported("services"):
        from dyncal.adapters import backup
        from dyncal.runtime.clocks import SystemClock

        said = _said(source)
        if only_check:
            return said
        settings, url = _where(config)
        backup.restore(source, settings.data_dir, url, SystemClock().now(), replace=replace)
        where = f"{said}\nis in {settings.data_dir}" + (" and in the database" if url else "")
        return f"{where}\nkeys, users and passwords are those of then: revoke again what was revoked since"


def _said(directory: Path) -> str:
    from dyncal.adapters import backup
    from dyncal.domain.time import InstantNs, iso

    manifest, trail = backup.check(directory)
    size = sum(file.size for file in manifest.files)
    entries = "" if trail is None else f", {trail.n_entries} entries in its audit trail, the last {trail.digest}"
    when = iso(InstantNs(manifest.made_ns))
    return f"{directory}: site {manifest.site} at {when}, {len(manifest.files)} files, {size} bytes, all whole{entries}"


def _where(config: Path | None) -> tuple[Any, str | None]:
    from dyncal.cli.doctor import SharedSettings
    from dyncal.domain.errors import InvalidSetting
    from dyncal.runtime.settings import load

    settings = load(SharedSettings, config)
    if settings.registry.url is None:
        return settings, None
    url = settings.registry.resolved_url(settings.data_dir)
    if not url.startswith("postgresql"):
        raise InvalidSetting("registry.url: only a registry below data_dir or on PostgreSQL can be backed up so")
    return settings, url


def _outside(settings: Any) -> str:
    """Return a word on each file that settings place elsewhere, and that is therefore not kept."""
    places = {
        "store.path": settings.store.path,
        "signing.key_file": settings.signing.key_file,
        "signing.trusted_dir": settings.signing.trusted_dir,
    }
    home = settings.data_dir.resolve()
    return "".join(
        f"\nnot in it, since it lies outside of data_dir: {key} = {path}"
        for key, path in places.items()
        if path is not None and not path.resolve().is_relative_to(home)
    )
