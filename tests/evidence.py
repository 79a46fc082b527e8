"""Figures with their bars, and the tables of them below docs/evidence."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NotRequired, TypeAlias, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.stats import binom, chi2, t

from dyncal.domain.samples import FloatArray

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "evidence"
_Plain: TypeAlias = dict[str, object]
FALSE_ALARM: Final = 5e-4  # on either side


class _Section(TypedDict):
    made_at: str
    figures: list[_Plain]
    reference_s: NotRequired[float]


@dataclass(frozen=True, slots=True)
class Section:
    """Figures made together, at a revision; `reference_s` is what the machine took for a known work [s], 0 unknown."""

    made_at: str
    figures: tuple[Figure, ...]
    reference_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and the bar it has to reach.

    Attributes
    ----------
    what : str
        For people, in the words of the bar.
    value, u : float
        The figure and its standard uncertainty for this number of trials; u = 0 for what does not scatter.
    low, high : float
        The bar: value must lie between them; infinite where one side is open.
    n : int
        Trials behind it.
    unit : str
        "%" scales by 100 where it is printed.
    p_value : float, optional
        Probability of a figure as bad as this or worse where the bar is just met, where that is known exactly: few
        trials are not normal.
    peer : str
        The library that it is compared with in the same run; such figures are in docs/performance.md.
    """

    what: str
    value: float
    low: float
    high: float
    n: int
    u: float = 0.0
    unit: str = ""
    p_value: float | None = None
    peer: str = ""

    @property
    def reached(self) -> bool:
        """Whether the value itself lies within the bar."""
        return self.low <= self.value <= self.high

    @property
    def missed_for_sure(self) -> bool:
        """Whether it lies outside by more than the number of trials can explain; also if it is no number."""
        if not math.isfinite(self.value):
            return True
        if self.p_value is not None:
            return self.p_value < FALSE_ALARM
        # Student's t: few trials do not know their own scatter
        beyond = float(t.isf(FALSE_ALARM, max(self.n - 1, 1)))
        return self.value + beyond * self.u < self.low or self.value - beyond * self.u > self.high


def coverage(what: str, inside: npt.NDArray[np.bool_], low: float = 0.935, high: float = 0.965) -> Figure:
    """Return the share of trials whose interval covered the truth, with its binomial uncertainty.

    For the uncertainty the true share is taken to be at the nearer edge of the bar, so that few trials, all of them
    inside, are no proof of anything.
    """
    n = int(inside.size)
    share = float(np.mean(inside)) if n else math.nan
    edge = min(max(share, low), high)
    u = math.sqrt(edge * (1 - edge) / n) if n else math.inf
    hits = int(np.count_nonzero(inside))
    p_value = min(float(binom.cdf(hits, n, low)), float(binom.sf(hits - 1, n, high))) if n else None
    return Figure(what, share, low, high, n, u, "%", p_value)


def efficiency(what: str, errors: FloatArray, bound: FloatArray | float, high: float) -> Figure:
    """Return the RMSE over the root mean square of the bound, by chi-squared; `bound` scalar or one a trial."""
    n = int(errors.size)
    value = math.sqrt(float(np.mean(errors**2)) / float(np.mean(np.square(bound))))
    return Figure(
        what, value, 0.0, high, n, value / math.sqrt(2 * n), p_value=float(chi2.sf(n * (value / high) ** 2, n))
    )


def bias(what: str, errors: FloatArray, scale: float, limit: float) -> Figure:
    """Return the mean error over `scale`, which must lie within ±limit."""
    n = int(errors.size)
    u = float(np.std(errors, ddof=1)) / math.sqrt(n) / scale
    return Figure(what, float(np.mean(errors)) / scale, -limit, limit, n, u, "%")


def write(
    name: str,
    title: str,
    command: str,
    sections: Mapping[str, Sequence[Figure]],
    known: Collection[str] | None = None,
    *,
    reference_s: float = 0.0,
) -> Path:
    """Write `docs/evidence/<name>.md` and `.json`; sections that this run did not make stay as they were.

    Each section says at which revision it was made, and of what speed the machine was, where that is given. Those that
    are not among `known` any more go, where it is given.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = FOLDER / f"{name}.json"
    held: dict[str, _Section] = json.loads(data.read_text()) if data.exists() else {}
    made_at = revision()
    for section, figures in sections.items():
        held[section] = {"made_at": made_at, "figures": [_plain(figure) for figure in figures]}
        if reference_s:
            held[section]["reference_s"] = float(f"{reference_s:.4g}")
    held = {section: held[section] for section in sorted(held) if known is None or section in known}
    data.write_text(json.dumps(held, indent=1) + "\n")
    page = FOLDER / f"{name}.md"
    page.write_text(_page(title, command, held))
    return page


def read(name: str) -> dict[str, Section]:
    """Return the sections of `docs/evidence/<name>.json` as it is in the tree; none where there is no such file."""
    data = FOLDER / f"{name}.json"
    return _sections(data.read_text() if data.exists() else "")


def committed(name: str) -> dict[str, Section]:
    """Return the sections of `docs/evidence/<name>.json` as last committed; none where that is not known."""
    return _sections(_git("show", f"HEAD:./{name}.json"))


def _sections(text: str) -> dict[str, Section]:
    held: dict[str, _Section] = json.loads(text) if text else {}
    return {
        section: Section(
            content["made_at"], tuple(_figure(plain) for plain in content["figures"]), content.get("reference_s", 0.0)
        )
        for section, content in held.items()
    }


def revision() -> str:
    """Return the revision of this checkout, "+" behind it if it has changes; an empty string where it has none."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)docs/evidence")
    return _git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def _git(*words: str) -> str:
    asked = subprocess.run(["git", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def table(figures: Iterable[Figure]) -> list[str]:
    """Return the rows of a Markdown table."""
    rows = ["| what | figure | ± (1 sd) | bar | trials | reached |", "|---|---|---|---|---|---|"]
    for figure in figures:
        spread = number(figure.u, figure.unit) if figure.u else ""
        reached = "yes" if figure.reached else "**no**" if figure.missed_for_sure else "within scatter"
        value = number(figure.value, figure.unit)
        rows.append(f"| {figure.what} | {value} | {spread} | {_bar(figure)} | {figure.n} | {reached} |")
    return rows


def _plain(figure: Figure) -> _Plain:
    # six figures are more than any of them has, and keep the file quiet between runs; infinities are no JSON
    rounded = {
        k: float(f"{v:.6g}") if isinstance(v, float) else v
        for k, v in asdict(figure).items()
        if v not in (None, "") or k == "unit"
    }
    return {k: (str(v) if isinstance(v, float) and not math.isfinite(v) else v) for k, v in rounded.items()}


def _figure(plain: _Plain) -> Figure:
    return msgspec.convert(plain, Figure, strict=False)  # infinities are texts


def _page(title: str, command: str, held: dict[str, _Section]) -> str:
    tables = {name: [_figure(plain) for plain in section["figures"]] for name, section in held.items()}
    figures = [figure for table_of in tables.values() for figure in table_of]
    reached = sum(figure.reached for figure in figures)
    missed = sum(figure.missed_for_sure for figure in figures)
    summary = (
        f"{len(figures)} figures: {reached} reach their bar, {len(figures) - reached - missed} miss it by less than "
        f"their scatter, {missed} miss it."
    )
    lines = [f"# {title}", "", f"Made by `{command}`; do not edit. {summary}", ""]
    for name, section in held.items():
        lines += [f"## {name}", "", f"At revision {section['made_at'] or 'unknown'}.", "", *table(tables[name]), ""]
    return "\n".join(lines)


def number(value: float, unit: str) -> str:
    """Return a figure with its unit, for people."""
    if unit == "%":
        return f"{100 * value:.3g} %"
    return f"{value:.4g} {unit}".strip()


def _bar(figure: Figure) -> str:
    low, high = number(figure.low, figure.unit), number(figure.high, figure.unit)
    if not math.isfinite(figure.high):
        return f"≥ {low}" if math.isfinite(figure.low) else "(for information)"
    if not math.isfinite(figure.low) or figure.low == 0:
        return f"≤ {high}"
    if figure.low == -figure.high:
        return f"± {high}"
    return f"{low} to {high}"
