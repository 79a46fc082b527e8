"""Recordings: what is written is read, block by block; what is damaged is refused with place and remedy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import DurationNs, InstantNs, iso
from simulators.recordings import (
    Block,
    ChannelInfo,
    PairingInfo,
    RecordingInfo,
    Selection,
    open_recording,
    write_recording,
)
from simulators.recordings.blocks import Rows, cut
from simulators.recordings.delimited import MAX_LINE

T0 = 1_790_000_000_123_456_789
HEAD = "t,channel,value\n"
FORMATS = pytest.mark.parametrize("ending", [".parquet", ".csv"])

PAIR = RecordingInfo(
    order="arrival",
    channels={"TC-1": ChannelInfo(unit="Cel", rate_hz=10, role="sensor"), "TC-1.ref": ChannelInfo(unit="Cel")},
    pairings=[PairingInfo(sensor="TC-1", reference="TC-1.ref", model="first_order", u_reference=0.05)],
)


def made(seed: int = 1, n: int = 40) -> list[Block]:
    """Blocks of two channels: values of all sizes, some missing, some late, some twice, some of bad quality."""
    rng = np.random.default_rng(seed)
    blocks = []
    for k in range(n):
        size = int(rng.integers(1, 6))
        t_ns = T0 + 1_000 * k - 7_000 * (k % 9 == 4) + 150 * np.arange(size, dtype=np.int64)
        values = rng.normal(size=size) * 10.0 ** rng.integers(-30, 30, size)
        values[rng.uniform(size=size) < 0.1] = np.nan
        quality = np.where(np.isnan(values), 0x8000_0000, 0).astype(np.uint32)
        name = "TC-1" if k % 3 else "TC-1.ref"
        blocks.append(Block(name, t_ns, values, quality, DurationNs(k // 20), InstantNs(T0 + 1_000 * k + 900)))
    return [*blocks, blocks[-1]]


def write(file: Path, blocks: list[Block], info: RecordingInfo = PAIR) -> Path:
    with write_recording(file, info, ("quality", "u_t_ns", "arrival")) as writer:
        for block in blocks:
            writer.write(block)
    return file


def content(blocks: Iterator[Block] | list[Block]) -> list[tuple[object, ...]]:
    return [
        (
            *(b.channel, b.t_ns.tolist(), b.values.tobytes(), None if b.quality is None else b.quality.tolist()),
            *(b.u_t_ns, b.arrival_ns),
        )
        for b in blocks
    ]


@FORMATS
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, ending: str) -> None:
    recording = open_recording(write(tmp_path / f"plant{ending}", made()))
    assert content(recording.blocks()) == content(made())
    assert content(recording.blocks()) == content(made())  # and again
    assert recording.info.channels == PAIR.channels
    assert recording.info.pairings[0].pairing().u_reference == 0.05
    assert {f.name for f in tmp_path.iterdir()} <= {f"plant{ending}", "plant.toml"}


@FORMATS
def test_channels_and_an_interval_can_be_chosen(tmp_path: Path, ending: str) -> None:
    recording = open_recording(write(tmp_path / f"plant{ending}", made()))
    wanted = Selection({"TC-1"}, InstantNs(T0 + 5_000), InstantNs(T0 + 20_000))
    got = list(recording.blocks(wanted))
    t_ns = np.concatenate([b.t_ns for b in got])
    want = np.concatenate([b.t_ns for b in made() if b.channel == "TC-1"])
    np.testing.assert_array_equal(t_ns, want[(want >= T0 + 5_000) & (want < T0 + 20_000)])
    assert {b.channel for b in got} == {"TC-1"}


@FORMATS
def test_rows_in_turns_are_brought_together(tmp_path: Path, ending: str) -> None:
    info = RecordingInfo(channels={"a": ChannelInfo(), "b": ChannelInfo()})
    with write_recording(tmp_path / f"turns{ending}", info) as writer:
        for k in range(100):
            for name in "ab":
                writer.write(Block(name, np.array([T0 + 10 * k]), np.array([float(k)])))
    recording = open_recording(tmp_path / f"turns{ending}")
    assert len(list(recording.blocks())) == 200
    together = list(recording.blocks(gather_ns=DurationNs(250)))
    assert [(b.channel, len(b)) for b in together] == [(c, 25) for _ in range(4) for c in "ab"]
    assert np.concatenate([b.values for b in together if b.channel == "b"]).tolist() == list(range(100))


def test_blocks_do_not_depend_on_how_rows_were_divided() -> None:
    rng = np.random.default_rng(3)
    t_ns = T0 + np.cumsum(rng.integers(-1, 9, 500))
    rows = Rows(t_ns, (np.arange(500) // 40 % 2).astype(np.int32), rng.normal(size=500), None, None, None)
    whole = content(cut([rows], ["a", "b"]))
    edges = [0, 1, 40, 41, 200, 200, 321, 500]
    parts = [rows.take(slice(a, b)) for a, b in itertools.pairwise(edges)]
    assert content(cut(parts, ["a", "b"])) == whole
    assert all(np.all(np.diff(b.t_ns) > 0) for b in cut(parts, ["a", "b"]))


@FORMATS
def test_after_an_error_the_file_before_is_still_there_and_nothing_else(tmp_path: Path, ending: str) -> None:
    file = write(tmp_path / f"plant{ending}", made())
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}

    def interrupted() -> None:
        with write_recording(file, PAIR, ("arrival",)) as writer:
            writer.write(Block("TC-1", np.array([T0]), np.array([1.0]), arrival_ns=InstantNs(T0)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    with pytest.raises(InvalidData, match="not among"), write_recording(file, PAIR) as writer:
        writer.write(Block("TC-2", np.array([T0]), np.array([1.0])))
    with pytest.raises(InvalidData, match="arrival"), write_recording(file, PAIR, ("arrival",)) as writer:
        writer.write(Block("TC-1", np.array([T0]), np.array([1.0])))
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before


def test_a_name_or_a_directory_that_will_not_do_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"ends in \.csv"), write_recording(tmp_path / "plant.txt", PAIR):
        pass
    with pytest.raises(InvalidData, match="cannot write"), write_recording(tmp_path / "none" / "p.csv", PAIR):
        pass
    with pytest.raises(InvalidData, match="no column x"), write_recording(tmp_path / "p.csv", PAIR, ("x",)):
        pass
    with pytest.raises(InvalidData, match="no such file"):
        open_recording(tmp_path / "plant.csv")


def rows(*values: str) -> str:
    return HEAD + "".join(f"{iso(InstantNs(T0 + k))},a,{value}\n" for k, value in enumerate(values))


GOOD = rows("1.5", "2", "-3e-7")

TEXTS: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "", "is empty"),
    ("no header", GOOD.partition("\n")[2].encode(), "", "column t"),
    ("a column is missing", GOOD.replace(",value", ",val").encode(), "", "column value is missing"),
    ("a column is unknown", GOOD.replace("value\n", "value,x\n").replace("5\n", "5,1\n").encode(), "", "column x"),
    ("a column twice", GOOD.replace("channel,", "value,").encode(), "", "more than once"),
    ("no number", rows("1", "2", "three").encode(), "line 4, column value", "three"),
    ("cut short", (GOOD + "2026-10-01T00:").encode(), "line 5", "expected 3 columns"),
    ("a decimal comma", rows("1", "2,5").encode(), "line 3", "decimal comma"),
    ("blank lines count", GOOD.replace("\n", "\n\n\n", 1).replace("2\n", "x\n").encode(), "line 5, column value", "x"),
    ("no zone", GOOD.replace("Z,a,2", ",a,2").encode(), "line 3, column t", "zone"),
    ("no instant", GOOD.replace(iso(InstantNs(T0 + 1)), "nan").encode(), "line 3, column t", "nan"),
    ("no time at all", GOOD.replace(iso(InstantNs(T0 + 1)), "").encode(), "line 3, column t", "no value"),
    ("no channel", GOOD.replace("a,2", ",2").encode(), "line 3, column channel", "channel"),
    ("a name that is none", GOOD.replace("a,2", "a/b,2").encode(), "line 3, column channel", "a/b"),
    ("before 1970", GOOD.replace("2026-", "1926-").encode(), "line 2, column t", "1970"),
    ("goes back", (GOOD + f"{iso(InstantNs(T0 + 1))},a,5\n").encode(), "line 5, column t", "sort the rows"),
    ("twice", (GOOD + f"{iso(InstantNs(T0 + 2))},a,5\n").encode(), "line 5, column t", "twice: remove one"),
    ("latin-1", GOOD.replace("a,2", "é,2").encode("latin-1"), "line 3, column channel", "UTF-8"),
    ("latin-1 header", GOOD.replace("value\n", "wért\n").encode("latin-1"), "line 1", "UTF-8"),
    ("utf-16", GOOD.encode("utf-16"), "line 1", "UTF-16"),
    ("binary", bytes(range(256)) * 20, "line 1", "UTF-8"),
    ("a huge line", GOOD.encode() + b"9" * (4 * MAX_LINE * 16 + 10) + b",a,1\n", "line 5", "longer than"),
    ("an open quote", GOOD.replace("a,2", '"a,2').encode(), "line 3", "columns"),
    ("semicolons", GOOD.replace(",", ";").encode(), "line 1", "[csv] delimiter = ';'"),
    ("t_ns no whole number", b"t_ns,channel,value\n1.5,a,2\n", "line 2, column t_ns", "whole nanoseconds"),
    ("inf as time", b"t_ns,channel,value\n1,a,2\ninf,a,2\n", "line 3, column t_ns", "whole nanoseconds"),
    ("beyond int64", b"t_ns,channel,value\n99999999999999999999,a,2\n", "line 2, column t_ns", "whole"),
]


@pytest.mark.parametrize(("text", "where", "what"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
def test_damaged_csv_is_refused_with_line_and_column(tmp_path: Path, text: bytes, where: str, what: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(text)
    with pytest.raises(InvalidData) as caught:
        list(open_recording(file).blocks())
    assert str(caught.value).startswith(f"{file}: {where}")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.replace("t,", '"t",').replace(",a,", ',"a",').encode(),
    ],
    ids=["byte order mark", "CRLF", "no last line end", "blank lines", "quotes"],
)
def test_what_other_programs_write_is_read(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "good.csv").write_bytes(text)
    (block,) = open_recording(tmp_path / "good.csv").blocks()
    assert block.values.tolist() == [1.5, 2.0, -3e-7]
    assert (block.t_ns - T0).tolist() == [0, 1, 2]


def test_semicolons_and_decimal_commas_are_read_when_they_are_said(tmp_path: Path) -> None:
    file = tmp_path / "excel.csv"
    file.write_text("t_ns;channel;value\n1;a;1,5\n2;a;-2,25\n")
    (tmp_path / "excel.toml").write_text('[csv]\ndelimiter = ";"\n')
    with pytest.raises(InvalidData, match=r'line 2, column value.*decimal = ","'):
        list(open_recording(file).blocks())
    (tmp_path / "excel.toml").write_text('[csv]\ndelimiter = ";"\ndecimal = ","\n')
    (block,) = open_recording(file).blocks()
    assert block.values.tolist() == [1.5, -2.25]


SIDECARS = [
    ("version = 2", "version"),
    ("chanels = {}", "did you mean 'channels'"),
    ("[channels.a]\nrate_hz = -1", "channels.a.rate_hz"),
    ('[channels."a/b"]', "a/b"),
    ("version = ", "not TOML"),
    ('pairings = [{ sensor = "a", reference = "c", model = "first_order" }]\n[channels.a]', "needs a channel c"),
    ('pairings = [{ sensor = "a", reference = "a", model = "first_order" }]\n[channels.a]', "own reference"),
    (
        """pairings = [
          { sensor = "a", reference = "b", model = "first_order" },
          { sensor = "a", reference = "c", model = "first_order" },
        ]
        [channels.a]
        [channels.b]
        [channels.c]""",
        "a is paired twice",
    ),
]


@pytest.mark.parametrize(("text", "what"), SIDECARS)
def test_metadata_that_are_wrong_are_refused_with_file_and_key(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "plant.csv").write_text(GOOD)
    (tmp_path / "plant.toml").write_text(text)
    with pytest.raises(InvalidData) as caught:
        open_recording(tmp_path / "plant.csv")
    assert str(tmp_path / "plant.toml") in str(caught.value)
    assert what in str(caught.value)


def test_a_csv_that_lacks_rows_or_has_a_strange_channel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plant.csv").write_text(GOOD)
    (tmp_path / "plant.toml").write_text("n_rows = 4\n[channels.a]\n")
    with pytest.raises(InvalidData, match=r"3 rows where its metadata say 4: it was cut short"):
        list(open_recording(tmp_path / "plant.csv").blocks())
    (tmp_path / "plant.toml").write_text("[channels.aa]\n")
    with pytest.raises(InvalidData, match=r"line 2, column channel: unknown channel 'a'; did you mean 'aa'"):
        list(open_recording(tmp_path / "plant.csv").blocks())


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def replaced(file: Path) -> None:
    file.write_text(GOOD)


def flipped(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 4] ^= 0x10
    file.write_bytes(bytes(text))


def columns(**changed: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        n = 5
        fields: dict[str, Any] = {
            "t": pa.array(T0 + np.arange(n)).cast(pa.timestamp("ns", tz="UTC")),
            "channel": pa.array(["a"] * n),
            "value": pa.array(np.ones(n)),
            **changed,
        }
        pq.write_table(pa.table({k: v for k, v in fields.items() if len(v)}), file, row_group_size=2)

    return change


def described(text: bytes) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        columns()(file)
        pq.write_table(pq.read_table(file).replace_schema_metadata({b"dyncal": text}), file)

    return change


US = pa.array([1, 2, 3, 4, 9]).cast(pa.timestamp("us"))


def at(*since_ns: int | None) -> Any:
    return pa.array([None if k is None else T0 + k for k in since_ns]).cast(pa.timestamp("ns", tz="UTC"))


DAMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    ("cut short", cut_short, "no Parquet file, or cut short"),
    ("empty", emptied, "no Parquet file"),
    ("CSV", replaced, "no Parquet file"),
    ("a bit flipped", flipped, "row group 0"),
    ("no zone", columns(t=US), "column t is of type timestamp[us]; expected instants with a time zone"),
    ("text as values", columns(value=pa.array(list("abcde"))), "column value is of type string; expected numbers"),
    ("no values", columns(value=pa.array([])), "column value is missing"),
    ("no channels", columns(channel=pa.array([])), "column channel is missing"),
    ("a strange column", columns(x=pa.array([1] * 5)), "unknown column x"),
    ("no instant", columns(t=at(0, None, 2, 3, 4)), "row 1 of it, column t"),
    (
        "a channel is missing",
        columns(channel=pa.array(["a", "a", None, "a", "a"])),
        "row group 1, row 0 of it, column ch",
    ),
    ("goes back", columns(t=at(0, 1, 5, 4, 6)), "row group 1, row 1 of it, column t: a goes back"),
    ("quality beyond", columns(quality=pa.array([0, 0, 0, 0, 1 << 40])), "row group 2"),
    ("metadata no JSON", described(b"{"), "metadata"),
    ("metadata wrong", described(b'{"order": "none"}'), "order"),
]


@pytest.mark.parametrize(("damage", "what"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damaged_parquet_is_refused_with_its_place(tmp_path: Path, damage: Callable[[Path], None], what: str) -> None:
    file = write(tmp_path / "bad.parquet", made(n=400))
    damage(file)
    with pytest.raises(InvalidData) as caught:
        list(open_recording(file).blocks())
    assert str(caught.value).startswith(str(file))
    assert what in str(caught.value)


def test_parquet_of_other_programs_is_read(tmp_path: Path) -> None:
    file = tmp_path / "other.parquet"
    ms = pa.array([1_790_000_000_000 + k for k in range(5)]).cast(pa.timestamp("ms", tz="UTC"))
    columns(t=ms, value=pa.array(np.arange(5, dtype=np.float32)), channel=pa.array(["a", "b"] * 2 + ["a"]))(file)
    got = list(open_recording(file).blocks(gather_ns=DurationNs(10**9)))
    assert [(b.channel, b.values.tolist()) for b in got] == [("a", [0, 2, 4]), ("b", [1, 3])]
    assert got[0].t_ns.tolist() == [(1_790_000_000_000 + k) * 10**6 for k in (0, 2, 4)]
    later = Selection(from_ns=InstantNs(1_790_000_000_003 * 10**6))
    assert sum(len(b) for b in open_recording(file).blocks(later)) == 2


def test_nothing_of_a_wrong_row_is_yielded(tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text(GOOD + f"{iso(InstantNs(T0))},a,9\n")
    seen: list[Block] = []
    with pytest.raises(InvalidData):
        seen.extend(open_recording(tmp_path / "late.csv").blocks())
    assert 9.0 not in [v for b in seen for v in b.values.tolist()]
