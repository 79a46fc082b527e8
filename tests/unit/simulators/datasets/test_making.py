"""Data sets on disk: whole or not there, verified, and the blind part's truth sealed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidData, InvalidSetting
from simulators.datasets import making
from simulators.datasets.definitions import load_family
from simulators.datasets.making import MANIFEST, Request, make, read_secret, verify
from simulators.datasets.store import MEMBER, OBSERVED, TRUTH, read_member
from simulators.recordings import open_recording

NAMES = ("points-first-17", "first-step-40db", "correct-first-batch-40db")
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    make(Request(1, "open", folder, NAMES, trials=2))
    return folder


def test_what_was_made_is_verified(made: Path) -> None:
    assert list(verify(made)) == []


def test_it_is_read_as_it_was_made(made: Path) -> None:
    member = read_member(made / "correct-first-batch-40db")
    assert len(member.trials) == 2
    trial = member.trials[1]
    assert trial.measurand.shape == trial.t_ns.shape == trial.channels["indication"].shape
    assert set(trial.truth["parameters"]) == set(trial.stated["parameters"])


def test_samples_are_a_recording(made: Path) -> None:
    info = open_recording(made / "first-step-40db" / OBSERVED).info
    assert info.channels["indication"].si_unit == r"\degreecelsius"
    assert info.pairings[0].model == "first_order"


def test_metadata_are_quantities_of_d_si(made: Path) -> None:
    said = json.loads((made / "correct-first-batch-40db" / MEMBER).read_text())
    tau = next(q for q in said["trials"][0]["quantities"] if q["label"] == "tau_s")
    expanded = tau["measurementUncertaintyUnivariate"]["expandedMU"]
    assert tau["unit"] == r"\second"
    assert expanded["valueExpandedMU"] == pytest.approx(2 * said["trials"][0]["stated"]["u"]["tau_s"])


def test_a_changed_number_and_a_missing_file_are_found(tmp_path: Path) -> None:
    make(Request(1, "open", tmp_path, NAMES[:2], trials=1))
    (tmp_path / NAMES[0] / TRUTH).unlink()
    path = tmp_path / NAMES[1] / MEMBER
    path.write_text(path.read_text().replace('"u_reference_noise": 0.0', '"u_reference_noise": 0.1'))
    found = "\n".join(verify(tmp_path))
    assert "missing" in found
    assert "its SHA-256 is not the one" in found
    assert "not those of the manifest" in found


def test_other_numbers_with_sums_made_anew_are_not_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = load_family(1).model_copy(update={"seed": "another"})
    monkeypatch.setattr(making, "load_family", lambda _: family)
    make(Request(1, "open", tmp_path, NAMES[:1], trials=1))
    assert ["first trial is not that of version 1" in fault for fault in verify(tmp_path)] == [True]


def test_a_member_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("simulators.datasets.store._write_samples", broken)
    with pytest.raises(OSError, match="no space"):
        make(Request(1, "open", tmp_path, ("first-step-40db",), trials=1))
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_and_other_parts_are_refused(made: Path) -> None:
    with pytest.raises(InvalidSetting, match="there is no nonsense"):
        make(Request(1, "open", made, ("nonsense",)))
    with pytest.raises(InvalidData, match="cannot read it"):
        list(verify(made / "nowhere"))


def blind(folder: Path, secret: bytes = SECRET) -> tuple[Path, Path]:
    public, truth = folder / "public", folder / "truth"
    make(Request(1, "blind", public, ("blind-points-second",), 2, secret, truth))
    return public, truth


def test_the_blind_part_needs_its_secret(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="who has its secret"):
        make(Request(1, "blind", tmp_path))
    with pytest.raises(InvalidSetting, match="outside"):
        make(Request(1, "blind", tmp_path, secret=SECRET, truth_to=tmp_path / "truth"))


def test_what_is_handed_out_holds_no_truth(tmp_path: Path) -> None:
    public, truth = blind(tmp_path)
    known = json.loads((truth / "blind-points-second" / TRUTH).read_text())
    text = "".join(path.read_text(errors="replace") for path in public.rglob("*") if path.is_file())
    assert not (public / "blind-points-second" / TRUTH).exists()
    assert known["salt"] not in text
    assert all(str(value) not in text for value in known["trials"][0]["parameters"].values())


def test_a_revealed_truth_is_held_against_its_commitment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, truth = blind(tmp_path)
    entry = json.loads((public / MANIFEST).read_text())["members"]["blind-points-second"]
    monkeypatch.setattr(making, "contents", lambda _: {"blind": {"blind-points-second": entry}})
    assert list(verify(public)) == []
    assert list(verify(public, truth)) == []
    path = truth / "blind-points-second" / TRUTH
    good = path.read_text()
    words = json.loads(good)
    words["trials"][0]["parameters"]["gain"] *= 1.001
    path.write_text(json.dumps(words))
    assert ["not the truth that was sealed" in fault for fault in verify(public, truth)] == [True]
    path.write_text(good.replace(json.loads(good)["salt"], "00" * 32))
    assert ["not the truth that was sealed" in fault for fault in verify(public, truth)] == [True]


def test_another_secret_gives_other_data(tmp_path: Path) -> None:
    one, other = blind(tmp_path / "a")[0], blind(tmp_path / "b", bytes(32))[0]
    digests = [json.loads((f / MANIFEST).read_text())["members"]["blind-points-second"]["first"] for f in (one, other)]
    assert digests[0] != digests[1]


def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    with pytest.raises(InvalidSetting) as caught:
        read_secret(path)
    assert "hunter2" not in str(caught.value)
    path.write_text("ab" * 32)
    assert read_secret(path) == b"\xab" * 32
