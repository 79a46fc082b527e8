"""The report as a page: whole in itself, for the screen and for paper. It loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from dyncal.domain.calibration import Deviation
from dyncal.domain.laboratory import Signature
from dyncal.domain.time import InstantNs, iso
from services.api.report.content import Report
from services.api.report.drawing import Axes, Line, plot

STYLE: Final = """
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #111; background: #fff; max-width: 46rem; margin: 2rem auto }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; border-bottom: 1px solid #999 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .15rem .6rem .15rem 0; vertical-align: top; font-weight: 600 }
td { font-weight: 400 }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
table.facts th { width: 14rem; font-weight: 400; color: #444 }
figure { margin: .6rem 0; break-inside: avoid }
figcaption { font-weight: 600 }
p.note { color: #444; margin: .2rem 0 }
svg { width: 100%; height: auto; font-size: 12px }
svg text { fill: #333 }
svg text.middle { text-anchor: middle }
svg text.end { text-anchor: end }
.grid { stroke: #ddd }
.level { stroke: #777; stroke-dasharray: 4 3 }
.line { fill: none; stroke-width: 1.5 }
.band { stroke: none; fill-opacity: .18 }
.key { stroke-width: 2 }
.line.left, .key.left { stroke: #0b57a4 }
.band.left { fill: #0b57a4 }
.line.found, .key.found { stroke: #a4500b; stroke-dasharray: 6 3 }
.band.found { fill: #a4500b }
.line.raw, .key.raw { stroke: #777; stroke-dasharray: 2 2 }
.legend span { margin-right: 1.2rem; white-space: nowrap }
svg.key-line { width: 28px; height: 8px }
@media print {
  body { margin: 0; max-width: none; font-size: 9.5pt }
  h2 { break-after: avoid }
  @page { margin: 18mm }
}
"""

CSP: Final = (
    "default-src 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-modals"
)

NAMES: Final = {"raw": "uncorrected", "found": "as found", "left": "as left"}


def page(report: Report) -> bytes:
    """Return the report as an HTML document."""
    c = report.calibration
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = f"Calibration {c.id} of {c.sensor}"
    SubElement(head, "style").text = STYLE
    body = SubElement(html, "body")
    SubElement(body, "h1").text = f"Calibration of {c.sensor}"
    SubElement(body, "p", {"class": "note"}).text = f"{c.id}; report of {iso(report.written_ns)}"
    _facts(body, _about(report))
    _parameters(body, report)
    _response(body, report)
    _conformity(body, report)
    _deviations(body, report)
    written: bytes = tostring(html, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + written


def _about(report: Report) -> list[tuple[str, str]]:
    c, sensor = report.calibration, report.sensor
    label = "" if sensor is None else f" ({sensor.label})" if sensor.label else ""
    facts = [
        ("Sensor", f"{c.sensor}{label}"),
        ("Unit of the indication", "not known any more" if sensor is None else sensor.unit or "1"),
        ("Reference", c.reference),
        ("Certificate of the reference", _certificate(report)),
        ("Data", f"{iso(c.window_from_ns)} to {iso(c.window_to_ns)}, {c.n_samples} samples"),
        ("Fitted", f"{iso(c.fitted_at_ns)}, by {c.method}"),
        ("Verdict", f"{c.verdict.replace('_', ' ')}{f': {c.detail}' if c.detail else ''}"),
        ("Reduced chi-squared", _number(c.reduced_chi2, 3)),
        ("Whiteness of the residuals, p", _number(c.whiteness_p, 3)),
        ("Noise of the sensor, standard deviation", _number(c.noise_std, 3)),
    ]
    made, before = report.made, report.before
    if made is not None:
        facts.append(
            ("Coefficient set made of it", f"{made.coefficients.id}, {made.state} since {iso(made.changed_ns)}")
        )
    if before is not None:
        facts.append(("In force before", before.coefficients.id))
    return facts


def _certificate(report: Report) -> str:
    found = report.certificate
    if found is None:
        return "not held here"
    signature = {
        Signature.VERIFIED: f"signed by {found.signer}",
        Signature.INVALID: "its signature is not valid",
        Signature.NOT_VERIFIED: "its signature was not verified",
        Signature.NOT_SIGNED: "not signed",
    }[found.signature]
    return f"{found.certificate} of {found.laboratory}, {iso(InstantNs(found.calibrated_ns))[:10]}; {signature}"


def _facts(body: Element, facts: Sequence[tuple[str, str]]) -> None:
    table = SubElement(body, "table", {"class": "facts"})
    for name, value in facts:
        row = SubElement(table, "tr")
        SubElement(row, "th", scope="row").text = name
        SubElement(row, "td").text = value


def _parameters(body: Element, report: Report) -> None:
    p = report.calibration.parameters
    SubElement(body, "h2").text = f"Parameters ({p.model.replace('_', ' ')})"
    rows = []
    for name, value, u in zip(p.names, p.values.tolist(), p.u.tolist(), strict=True):
        mark = " (not determined by these data)" if name in report.calibration.unobservable else ""
        rows.append(
            [name + mark, _number(value, 8), _number(2 * u, 3), _number(200 * u / abs(value) if value else math.nan, 3)]
        )
    _table(body, ["parameter", "estimate", "U (k = 2)", "U relative [%]"], rows)
    if len(p.names) > 1:
        scale = np.where(p.u > 0, p.u, 1.0)
        correlation = p.cov / np.outer(scale, scale)
        SubElement(body, "p", {"class": "note"}).text = "Correlation coefficients:"
        _table(
            body,
            ["", *p.names],
            [[n, *(_number(r, 3) for r in row)] for n, row in zip(p.names, correlation.tolist(), strict=True)],
        )


def _table(body: Element, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = SubElement(body, "table")
    row = SubElement(table, "tr")
    for k, text in enumerate(heads):
        SubElement(row, "th", {"scope": "col", "class": "number" if k else ""}).text = text
    for cells in rows:
        row = SubElement(table, "tr")
        for k, text in enumerate(cells):
            SubElement(row, "td", {"class": "number" if k else ""}).text = text


def _response(body: Element, report: Report) -> None:
    now, found = report.now, report.found
    if now is None:
        return
    SubElement(body, "h2").text = "Frequency response"
    shown = [("left", now)] if found is None else [("left", now), ("found", found)]
    _legend(body, [("left", "this calibration")] + [("found", "the set in force before")] * (found is not None))
    f = "frequency [Hz]"
    magnitude = [Line(NAMES[k], k, b.f_hz, b.magnitude, b.u_magnitude) for k, b in shown]
    phase = [Line(NAMES[k], k, b.f_hz, np.degrees(b.phase_rad), np.degrees(b.u_phase_rad)) for k, b in shown]
    _figure(body, "Magnitude", Axes(f, "magnitude", "Magnitude over frequency", log_x=True, log_y=True), magnitude)
    _figure(body, "Phase", Axes(f, "phase [°]", "Phase over frequency", log_x=True), phase)
    SubElement(body, "p", {"class": "note"}).text = "Bands are ± U (k = 2)."


def _conformity(body: Element, report: Report) -> None:
    SubElement(body, "h2").text = "As found and as left"
    stated = report.calibration.conformity
    if stated is None:
        SubElement(body, "p", {"class": "note"}).text = "No deviation on data that the fit did not use is stated."
        return
    rows = [
        _deviation(NAMES[k], d) for k, d in (("raw", stated.raw), ("found", stated.as_found), ("left", stated.as_left))
    ]
    _table(body, ["deviation from the reference", "rms", "largest", "u of the comparison", "samples"], rows)
    said = "passed" if stated.passed else "not passed"
    SubElement(
        body, "p", {"class": "note"}
    ).text = f"On data that the fit did not use, in the unit of the indication. Decision rule: {stated.rule}: {said}."


def _deviation(name: str, d: Deviation) -> list[str]:
    return [name, _number(d.rms, 4), _number(d.maximum, 4), _number(d.u, 3), str(d.n)]


def _deviations(body: Element, report: Report) -> None:
    SubElement(body, "h2").text = "Residuals"
    d = report.deviations
    if d is None:
        SubElement(body, "p", {"class": "note"}).text = "The calibration's data are not in the store any more."
        return
    t_s = (d.t_ns - d.t_ns[0]) / 1e9
    series = [("raw", d.raw), ("found", d.as_found), ("left", d.as_left)]
    lines = [Line(NAMES[k], k, t_s, values) for k, values in series if values is not None]
    _legend(body, [(line.style, line.name) for line in lines])
    unit = "" if report.sensor is None or not report.sensor.unit else f" [{report.sensor.unit}]"
    since = f"time since {iso(InstantNs(int(d.t_ns[0])))} [s]"
    axes = Axes(since, f"indication − reference{unit}", "Deviation from the reference over time", levels=(0.0,))
    _figure(body, "Indication minus reference, over the calibration's own data", axes, lines)
    corrected = [line for line in lines if line.style != "raw"]
    if corrected:
        _figure(body, "The same, corrected values only", axes, corrected)


def _figure(body: Element, caption: str, axes: Axes, lines: Sequence[Line]) -> None:
    figure = SubElement(body, "figure")
    SubElement(figure, "figcaption").text = caption
    figure.append(plot(axes, lines))


def _legend(body: Element, keys: Sequence[tuple[str, str]]) -> None:
    legend = SubElement(body, "p", {"class": "legend"})
    for style, name in keys:
        key = SubElement(legend, "span")
        drawn = SubElement(key, "svg", {"class": "key-line", "viewBox": "0 0 28 8", "aria-hidden": "true"})
        SubElement(drawn, "line", {"class": f"key {style}", "x1": "0", "x2": "28", "y1": "4", "y2": "4"})
        drawn.tail = f" {name}"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "—"
