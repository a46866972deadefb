"""The packed forms of an hour."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import coarse
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.storage.frame import DamagedFrameError, encode
from watchkeeper.storage.hour import (
    pack_histogram,
    pack_minutes,
    unpack_histogram,
    unpack_minutes,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
histograms = st.lists(st.floats(min_value=-1e9, max_value=1e9), max_size=40).map(Histogram)
values = st.one_of(finite, st.builds(Gauge, finite, finite, finite), histograms)
minutes = st.dictionaries(st.integers(0, 59), values, max_size=60)


def read(payload: bytes, one: Histogram) -> Histogram:
    """Unpack a histogram with the figures of its row."""
    return unpack_histogram(payload, total=one.sum, low=one.min, high=one.max)


@given(minutes)
def test_a_chunk_gives_back_its_minutes(some: dict[int, Value]):
    """No minute and no value changes on its way through the database."""
    assert some == unpack_minutes(pack_minutes(some))


@given(histograms)
def test_an_hour_gives_back_its_histogram(one: Histogram):
    """Buckets, scale and counts of an hour are those that were packed."""
    hour = coarse([one])

    assert hour == read(pack_histogram(hour), hour)


@pytest.mark.parametrize(
    "one",
    [
        Histogram([1.3**n for n in range(-600, 600)]),
        Histogram([-(1.3**n) for n in range(-600, 600)]),
        Histogram([0.0, 1e-300, 1e300]),
    ],
)
def test_a_wide_histogram_survives(one: Histogram):
    """Steps and counts of any size are kept, of negative values as well."""
    one.zero += 2**40
    one.count += 2**40

    assert one == read(pack_histogram(one), one)


def test_an_hour_takes_little_room():
    """An hour of one ordinary route takes less than 200 bytes, its minutes less than 8 kB."""
    observed = [0.01 * 1.002**n for n in range(1_000)]

    assert 200 > len(pack_histogram(coarse([Histogram(observed)])))
    assert 8_000 > len(pack_minutes(dict.fromkeys(range(60), Histogram(observed))))


@pytest.mark.parametrize("payload", [b"", b"\x02", b"\x02abcdefgh", b"\x01", b"\x01\0\0\0"])
def test_what_is_no_packed_form_is_refused(payload: bytes):
    """An unknown version, and less than a header, are errors of their own kind."""
    with pytest.raises(DamagedFrameError):
        unpack_histogram(payload, total=0.0, low=0.0, high=0.0)
    with pytest.raises(DamagedFrameError):
        unpack_minutes(payload)


@given(histograms, st.data())
def test_damage_of_a_histogram_is_noticed(one: Histogram, data: st.DataObject):
    """A changed, missing or added byte is never read as other numbers."""
    payload = bytearray(pack_histogram(one))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    whole = pack_histogram(one)

    for damaged in (bytes(payload), whole[:at], whole + b"\0"):
        with pytest.raises(DamagedFrameError):
            read(damaged, one)


@given(st.binary(max_size=60))
def test_anything_that_passes_the_checksum_is_read_or_refused(body: bytes):
    """Whatever is behind a right checksum, nothing but a refusal can come of it."""
    payload = b"\x01" + zlib.crc32(body).to_bytes(4, "little") + body
    with suppress(DamagedFrameError):
        unpack_histogram(payload, total=0.0, low=0.0, high=0.0)


def test_a_minute_beyond_the_hour_is_damage():
    """A chunk has no minute 60."""
    with pytest.raises(DamagedFrameError, match="60 minutes"):
        unpack_minutes(encode({60: 1.0}))
