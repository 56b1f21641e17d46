"""The sealed file: a byte that is not as it was, a piece that is missing or elsewhere, and a wrong passphrase."""

from __future__ import annotations

import io
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.manager import sealed
from plimsoll.manager.sealed import CHUNK, Header, Reader, SealedError, Writer

WORD = b"correct horse"
SCRYPT = sealed.new_scrypt(cost=2)
HEADER = Header("12.0.0", "0002", "f00", 1.0, "sqlite", True, SCRYPT)


def seal(*pieces: bytes, header: Header = HEADER) -> bytes:
    out = io.BytesIO()
    writer = Writer(out, header, WORD)
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    return out.getvalue()


def opened(data: bytes, size: int, word: bytes = WORD) -> bytes:
    reader = Reader(io.BytesIO(data), word)
    got = reader.read(size)
    reader.finish()
    return got


def chunks_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """The front with its HMAC, and the chunks with their tags."""
    size = 12 + struct.unpack(">I", data[8:12])[0] + 32
    body = data[size:]
    step = CHUNK + 16
    return data[:size], [body[at : at + step] for at in range(0, len(body), step)]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_what_was_sealed_comes_out(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    whole = seal(data)
    assert opened(whole, size) == data
    assert Reader(io.BytesIO(whole), WORD).header == HEADER
    assert opened(seal(*(data[at : at + 1000] for at in range(0, size, 1000))), size) == data


def test_pieces_cannot_be_left_out_moved_repeated_or_taken_from_another_file() -> None:
    front, parts = chunks_of(seal(bytes(3 * CHUNK + 5)))
    assert len(parts) == 4
    _, others = chunks_of(
        seal(bytes(3 * CHUNK + 5), header=Header("12.0.0", "0002", "f00", 2.0, "sqlite", True, SCRYPT))
    )
    for wrong in (
        parts[:-1],
        parts[:1],
        [],
        parts[1:],
        [parts[1], parts[0], *parts[2:]],
        [parts[0], *parts],
        [*parts, b"x"],
        [*parts, parts[-1]],
        [*others[:1], *parts[1:]],
        [*parts[:-1], parts[-1][:-1]],
    ):
        with pytest.raises(SealedError, match="damaged"):
            opened(front + b"".join(wrong), 0)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_bit_that_is_not_as_it_was_is_noticed(at: int, bit: int) -> None:
    whole = bytearray(seal(bytes(CHUNK + 100)))
    whole[at % len(whole)] ^= 1 << bit
    with pytest.raises(SealedError):
        opened(bytes(whole), CHUNK + 100)


@settings(max_examples=100, deadline=None)
@given(end=st.integers(min_value=0))
def test_any_end_that_comes_too_early_is_noticed(end: int) -> None:
    whole = seal(bytes(CHUNK + 100))
    with pytest.raises(SealedError):
        opened(whole[: end % len(whole)], 0)


def test_a_wrong_passphrase_is_said_before_anything_is_read() -> None:
    with pytest.raises(SealedError, match="passphrase is wrong"):
        opened(seal(b"x"), 1, b"another one")


def test_a_header_cannot_make_its_reader_work_for_ever() -> None:
    for scrypt in (
        sealed.Scrypted(2**40, 8, 1, SCRYPT.salt),
        sealed.Scrypted(3, 8, 1, SCRYPT.salt),
        sealed.Scrypted(2, 2**20, 1, SCRYPT.salt),
        sealed.Scrypted(2, 8, 1, "00"),
        sealed.Scrypted(0, 8, 1, SCRYPT.salt),
    ):
        text = msgspec.json.encode(Header("12.0.0", "0002", "f00", 1.0, "sqlite", True, scrypt))
        with pytest.raises(SealedError, match="damaged"):
            sealed.read_header(io.BytesIO(sealed.MAGIC + struct.pack(">I", len(text)) + text))


def test_what_is_no_backup_or_a_later_form_is_said() -> None:
    with pytest.raises(SealedError, match="no backup"):
        opened(b"PK\x03\x04 something else", 0)
    with pytest.raises(SealedError, match="newer"):
        opened(b"PLIMBAK\x02" + bytes(100), 0)


def test_two_files_of_one_passphrase_have_nothing_in_common() -> None:
    one, other = (seal(bytes(1000), header=Header("1", "1", "f", 1.0, "s", True, sealed.new_scrypt(2))) for _ in "ab")
    assert chunks_of(one)[1] != chunks_of(other)[1]
