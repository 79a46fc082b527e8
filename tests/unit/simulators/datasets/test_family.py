"""Version 1 never changes: its definitions give the numbers whose digests are in the tree."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidSetting
from simulators.datasets.definitions import FOLDER, load_family
from simulators.datasets.digests import observed_digest, together, truth_digest
from simulators.datasets.making import contents
from simulators.datasets.trials import generator, make_trial

FAMILY = load_family(1)
SEED = FAMILY.seed.encode()
SOME = (
    "points-second-17", "points-second-common-31", "points-second-dead-time-49", "first-noise-60db", "first-step-40db",
    "first-irregular-30db", "lead-lag-noise-50db", "second-multisine-30db", "correct-first-batch-40db", "fault-frozen",
    "fault-break", "drift-ramp-reference",
)  # fmt: skip
"""Those that take tenths of a second; `dyncal datasets verify` compares all of all."""


@pytest.mark.parametrize("name", SOME)
def test_first_trials_are_those_of_version_1(name: str) -> None:
    assert observed_digest(make_trial(FAMILY.of("open")[name], SEED, 0)) == contents(1)["open"][name]["first"]


def test_a_whole_member_is_that_of_version_1() -> None:
    spec = FAMILY.of("open")["points-first-17"]
    trials = [make_trial(spec, SEED, k) for k in range(spec.trials)]
    known = contents(1)["open"][spec.name]
    assert together(map(observed_digest, trials)) == known["observed"]
    assert together(map(truth_digest, trials)) == known["truth"]


def test_the_tree_knows_all_members_and_no_secret() -> None:
    known = contents(1)
    for part, sealed in (("open", "truth"), ("blind", "commitment")):
        assert {m.name: m.trials for m in FAMILY.members[part]} == {k: v["trials"] for k, v in known[part].items()}  # type: ignore[index]  # a Part
        assert all(set(entry) == {"trials", "first", "observed", sealed} for entry in known[part].values())


def test_numbers_are_rounded_to_a_thousandth_of_the_noise() -> None:
    trial = make_trial(FAMILY.of("open")["first-step-40db"], SEED, 0)
    step = 2.0 ** np.floor(np.log2(trial.truth["noise_std"] / 1024))
    assert np.all(trial.channels["indication"] % step == 0)


def test_streams_differ_by_seed_member_and_trial() -> None:
    made = {generator(seed, name, k).uniform() for seed in (b"a", b"b") for name in ("x", "y") for k in (0, 1)}
    assert len(made) == 8


def test_members_have_names_of_their_own() -> None:
    names = [m.name for part in FAMILY.members.values() for m in part]
    assert len(set(names)) == len(names)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="there is 1"):
        load_family(99)
    assert (FOLDER / "v1").is_dir()
