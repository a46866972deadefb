"""The packed form of frames."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.storage import turns as turns_module
from watchkeeper.storage.frame import (
    MAX_PART_BYTES,
    DamagedFrameError,
    decode,
    encode,
    split,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
magnitudes = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
histograms = st.lists(magnitudes, max_size=40).map(Histogram)
gauges = st.builds(Gauge, finite, finite, finite)
counters = st.one_of(finite, st.integers(0, 2**40).map(float))
values = st.one_of(counters, gauges, histograms)
ids = st.integers(1, 2**62)


@given(st.dictionaries(ids, values, max_size=30))
def test_decoding_gives_back_what_was_encoded(frame: dict[int, Value]):
    """No value changes on its way through the database."""
    assert frame == decode(encode(frame))


@given(st.dictionaries(ids, values, max_size=30), st.data())
def test_decoding_some_series_gives_those_alone(frame: dict[int, Value], data: st.DataObject):
    """A chart of one metric decodes no other, and gets the same values."""
    wanted = data.draw(st.sets(st.sampled_from(sorted(frame)))) if frame else set()

    assert {key: frame[key] for key in wanted} == decode(encode(frame), wanted)


@given(st.lists(values, min_size=40, max_size=200))
def test_many_values_come_back_as_they_were(found: list[Value]):
    """Nor does one change where the low bytes of fractions are kept apart from the rest."""
    frame = dict(enumerate(found, 1))

    assert frame == decode(encode(frame))


@given(st.lists(values, min_size=40, max_size=100))
def test_what_was_packed_otherwise_is_read(found: list[Value]):
    """However the stream was compressed, by an older release or not: the values are the same."""
    frame = dict(enumerate(found, 1))
    payload = encode(frame)

    assert frame == decode(payload[:1] + zlib.compress(zlib.decompress(payload[1:])))


def test_a_wide_histogram_survives_downscaling():
    """A histogram over so wide a range that its buckets were merged keeps scale and counts."""
    wide = Histogram([1.3**n for n in range(-600, 600)])

    assert wide.scale < 5
    assert {7: wide} == decode(encode({7: wide}))


def test_a_payload_of_another_version_is_refused():
    """A newer process' frames are told apart from damaged ones by their first byte."""
    with pytest.raises(DamagedFrameError, match="format 02 is not known"):
        decode(b"\x02" + encode({1: 2.0})[1:])


@given(st.dictionaries(ids, values, min_size=1, max_size=10), st.data())
def test_damage_is_noticed(frame: dict[int, Value], data: st.DataObject):
    """A changed byte is never read as other numbers."""
    payload = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))

    try:
        read = decode(bytes(payload))
    except DamagedFrameError:
        read = frame
    assert frame == read


@given(st.binary(max_size=200))
def test_garbage_within_a_valid_stream_is_refused(garbage: bytes):
    """Whatever bytes a payload holds, reading it ends in values or in DamagedFrameError."""
    payload = b"\x01" + zlib.compress(garbage)

    try:
        decode(payload)
    except DamagedFrameError:
        refused = True
    else:
        refused = False
    assert refused or isinstance(decode(payload), dict)


@pytest.mark.parametrize("size", [0, 1, MAX_PART_BYTES, MAX_PART_BYTES + 1, 3 * MAX_PART_BYTES])
def test_parts_make_up_the_payload(size: int):
    """A large payload is cut into parts of at most 8,000 bytes that join to the same bytes."""
    payload = bytes(range(256)) * (size // 256 + 1)

    parts = split(payload[:size])

    assert payload[:size] == b"".join(parts)
    assert all(len(part) <= MAX_PART_BYTES for part in parts)
    assert parts[:1] == split(payload[:size], part_bytes=MAX_PART_BYTES)[:1]
    assert payload[:size] == b"".join(split(payload[:size], part_bytes=7))


def test_packing_and_reading_give_way_to_other_threads(monkeypatch: pytest.MonkeyPatch):
    """A thread that works on a large frame lets requests run again and again."""
    turns: list[float] = []
    monkeypatch.setattr(turns_module, "WORK_S", -1.0)  # as if each step had taken long
    monkeypatch.setattr(turns_module, "sleep", turns.append)

    payload = encode({number: Histogram([0.1, 0.2]) for number in range(500)})
    packing = len(turns)
    decode(payload)

    assert packing > 500
    assert len(turns) - packing > 500
    assert min(turns) > 0
