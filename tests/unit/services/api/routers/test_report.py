"""Reports of calibrations: what they say, and that they load nothing and let nothing in."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from dyncal.domain.coefficients import CorrectionFilter, Parameters, SetState
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.testing.laboratory import make_laboratory
from dyncal.testing.records import block
from dyncal.testing.registry import S1, S2, act, make_calibration, make_sensor, make_set
from services.api.report.drawing import Axes, Line, plot
from tests.unit.services.api.conftest import Api

URL = "/v1/calibrations/cal-1/report"
HTML = {"accept": "text/html"}
N = 300
T0 = 1_700_000_000_000_000_000
DT = 100_000_000
PARAMETERS = Parameters(
    ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.02, 0.5]), np.array([[1e-6, 1e-7], [1e-7, 1e-4]])
)


def fill(api: Api, *, samples: bool = True) -> None:
    """Give the calibration a set before and a set of its own, and data that lag by one sample."""
    calibration = replace(
        make_calibration("cal-1", S1),
        parameters=PARAMETERS,
        window_from_ns=InstantNs(T0),
        window_to_ns=InstantNs(T0 + (N - 1) * DT),
    )
    api.registry.add_calibration(calibration, act())
    before, made = make_set(1), make_set(2)
    gain_only = CorrectionFilter(DurationNs(DT), np.array([0.5]), np.zeros((0, 6)), 0, np.zeros((2, 5)), 0.1, 0.0, 1.0)
    before = replace(before, parameters=PARAMETERS, correction=gain_only)
    right = replace(gain_only, fir=np.array([1 / 1.02]))
    origin = replace(made.provenance, calibration_id="cal-1")
    made = replace(made, parent=before.id, parameters=PARAMETERS, correction=right, provenance=origin)
    api.registry.add_set(before, b"1", SetState.PUBLISHED, act(1))
    api.registry.add_set(made, b"2", SetState.PUBLISHED, act(2))
    if samples:
        axis = UniformAxis(InstantNs(T0), DurationNs(DT), N)
        truth = 20 + np.sin(np.arange(N) / 10)
        api.store.write([block(1.02 * truth, axis=axis, sensor=S1), block(truth, axis=axis, sensor=S2)])


async def test_a_report_says_how_indications_deviated_before_and_after(api: Api) -> None:
    fill(api)
    api.registry.add_laboratory(make_laboratory(sensor=S2), b"", act())
    found = (await api.http.get(URL)).json()
    assert found["calibration"]["id"] == "cal-1"
    assert found["certificate"]["certificate"] == "D-K-1/26"
    assert (found["set_before"]["sequence"], found["set_made"]["sequence"]) == (1, 2)
    assert [curve["what"] for curve in found["response"]] == ["calibration", "as_found"]
    deviations = {name: np.array(found["deviations"][name], float) for name in ("raw", "as_found", "as_left")}
    assert len(found["deviations"]["t_ns"]) == N
    assert np.nanmax(np.abs(deviations["raw"] - 0.02 * (20 + np.sin(np.arange(N) / 10)))) < 1e-9
    assert np.nanmin(np.abs(deviations["as_found"])) > 9
    assert np.nanmax(np.abs(deviations["as_left"])) < 1e-9


async def test_the_page_is_whole_in_itself(api: Api) -> None:
    fill(api)
    answer = await api.http.get(URL, headers=HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.text
    for loads in ("<script", "<link", "src=", "href=", "url(", "@import", "javascript:"):
        assert loads not in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert " style=" not in text
    assert text.count("<svg") >= 4
    assert text.count('class="band') == 4
    for said in ("as found", "as left", "tau_s", "U (k = 2)", "Frequency response", "Residuals"):
        assert said in text
    assert "nan" not in text.lower().replace("nanosecond", "")


async def test_what_a_name_or_a_label_says_is_text(api: Api) -> None:
    fill(api)
    api.registry.put_sensors([replace(make_sensor(S1), label="<script>alert(1)</script>\"'&")], [], act())
    text = (await api.http.get(URL, headers=HTML)).text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_what_is_not_there_any_more_is_said(api: Api) -> None:
    fill(api, samples=False)
    api.registry.add_calibration(make_calibration("cal-2", S2, 3), act())
    text = (await api.http.get(URL, headers=HTML)).text
    assert "not in the store any more" in text
    bare = await api.http.get("/v1/calibrations/cal-2/report", params={"format": "html"})
    assert bare.status_code == 200
    assert (await api.http.get("/v1/calibrations/cal-2/report")).json()["set_made"] is None
    assert (await api.http.get("/v1/calibrations/nobody/report", headers=HTML)).status_code == 404


@pytest.mark.parametrize(
    "values", [[], [np.nan, np.nan], [1.0], [5.0, 5.0], [0.0, 0.0], [1e300, -1e300], [1e-320, 0.0]]
)
@pytest.mark.parametrize("log", [False, True])
def test_any_numbers_can_be_drawn(values: list[float], log: bool) -> None:
    y = np.array(values)
    svg = plot(Axes("x", "y", "t", log_x=log, log_y=log), [Line("n", "left", np.arange(1.0, y.size + 1), y, np.abs(y))])
    drawn = ET.tostring(svg, encoding="unicode")
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_long_line_keeps_its_extremes() -> None:
    y = np.zeros(100_000)
    y[77_777] = 9.0
    svg = plot(Axes("x", "y", "t"), [Line("n", "raw", np.arange(100_000.0), y)])
    points = [point for line in svg.iter("polyline") for point in line.attrib["points"].split()]
    assert len(points) <= 1300
    assert min(float(point.split(",")[1]) for point in points) == pytest.approx(10.0)
