"""The bounded reader and the writer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.buffer import BoundsError, Reader, Writer


@given(st.integers(0, 0xFFFFFF), st.binary(max_size=300), st.lists(st.integers(0, 0xFFFF)))
def test_what_is_written_is_read(number: int, text: bytes, numbers: list[int]) -> None:
    writer = Writer().number(number, 3).vector(text, 2)
    with writer.block(3) as block:
        block.numbers(numbers, 2)
    data = bytes(writer.raw(b"tail"))
    assert len(data) == len(writer)
    reader = Reader(data)
    assert reader.number(3) == number
    assert reader.vector(2) == text
    assert reader.window(3).numbers(2) == tuple(numbers)
    assert reader.rest() == b"tail"
    reader.finish()


def test_a_window_ends_where_its_length_says() -> None:
    reader = Reader(b"\x02\xaa\xbb\xcc")
    window = reader.window(1)
    with pytest.raises(BoundsError):
        window.take(3)
    assert window.take(2) == b"\xaa\xbb"
    window.finish()
    assert reader.remaining == 1
    with pytest.raises(BoundsError, match="left over"):
        reader.finish()


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r.take(4),
        lambda r: r.take(-1),
        lambda r: r.number(4),
        lambda r: r.vector(1),
        lambda r: r.window(1),
        lambda r: r.numbers(2),
        lambda r: Reader(b"\x02\x01\x02").vector(1, least=3),
        lambda r: Reader(b"\x02\x01\x02").vector(1, most=1),
        lambda r: Reader(b"abc", 2, 1),
        lambda r: Reader(b"abc", 0, 4),
    ],
)
def test_a_read_past_a_bound_is_refused(read: Callable[[Reader], object]) -> None:
    with pytest.raises(BoundsError):
        read(Reader(b"\x09\x01\x02"))


@pytest.mark.parametrize("value", [256, -1])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(BoundsError, match="does not fit"):
        Writer().number(value, 1)


def test_a_vector_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BoundsError):
        Writer().vector(bytes(256), 1)
