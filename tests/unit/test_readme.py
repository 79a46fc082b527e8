from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_example_that_is_tested() -> None:
    example = (ROOT / "docs" / "examples" / "first-plant.toml").read_text(encoding="utf-8")
    keys = "".join(line for line in example.splitlines(keepends=True) if not line.startswith("#"))
    assert keys.strip() in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(keys.splitlines()) < 20


def test_every_page_that_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    places = [piece.split(")")[0] for piece in text.split("](")[1:]]
    assert places
    assert not [place for place in places if "://" not in place and not (ROOT / place).exists()]
