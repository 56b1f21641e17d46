"""A file under a passphrase: written from front to back, and refused as a whole where one byte is not as it was.

    magic (8) | length (4) | header, JSON | HMAC-SHA256 of these (32) | chunks, each with its tag (16)

scrypt (RFC 7914) makes two keys of the passphrase and the header's salt: one for that HMAC, which tells a wrong
passphrase before anything else is read, one for AES-256-GCM. A chunk's nonce is its number and whether it is the last:
so chunks cannot be left out, put in another order or taken from another file, and an end that is missing is noticed
(the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). The key is new for each file, with its salt.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

#: The last byte is the version of this format.
MAGIC: Final = b"PLIMBAK\x01"
CHUNK: Final = 64 * 1024
_TAG: Final = 16
_MOST_HEADER: Final = 64 * 1024
#: scrypt's cost for new files: 128 MiB and some tenths of a second for each guess (RFC 7914 §2, OWASP's first choice).
COST: Final = 2**17
_BLOCK, _PARALLEL, _SALT = 8, 1, 16
#: What a file may ask of its reader: 1 GiB.
_MOST_COST: Final = 2**20
#: Shorter ones are guessed.
SHORTEST: Final = 8


class SealedError(Exception):
    """The file cannot be used; the words say why."""


class Scrypted(msgspec.Struct, frozen=True):
    n: int
    r: int
    p: int
    salt: str


class Header(msgspec.Struct, frozen=True):
    """What can be read without the passphrase, and is checked with it. `created` is in seconds since the epoch."""

    release: str
    revision: str
    installation: str
    created: float
    database: str
    software: bool
    scrypt: Scrypted
    chunk: int = CHUNK


def _keys(passphrase: bytes, scrypt: Scrypted) -> tuple[bytes, bytes]:
    made = Scrypt(bytes.fromhex(scrypt.salt), length=64, n=scrypt.n, r=scrypt.r, p=scrypt.p).derive(passphrase)
    return made[:32], made[32:]


def new_scrypt(cost: int = COST) -> Scrypted:
    return Scrypted(cost, _BLOCK, _PARALLEL, os.urandom(_SALT).hex())


class Writer:
    """Seals what is written; `finish` writes the end. Without it the file is damaged, as it should be."""

    def __init__(self, file: BinaryIO, header: Header, passphrase: bytes) -> None:
        text = msgspec.json.encode(header)
        front = MAGIC + struct.pack(">I", len(text)) + text
        key, mac = _keys(passphrase, header.scrypt)
        self._cipher = AESGCM(key)
        self._bound = hashlib.sha256(front).digest()
        self._file = file
        self._waiting = bytearray()
        self._number = 0
        file.write(front + hmac.digest(mac, front, "sha256"))

    def write(self, data: bytes) -> None:
        self._waiting += data
        # The last chunk is known only at the end: one is kept back.
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]

    def finish(self) -> None:
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, self._bound))
        self._number += 1


def read_header(file: BinaryIO) -> tuple[Header, bytes]:
    """The header, and the bytes up to its end. Nothing of it is proved yet. Raises SealedError."""
    magic = file.read(len(MAGIC))
    if magic[:-1] != MAGIC[:-1]:
        raise SealedError("it is no backup of Plimsoll's")
    if magic != MAGIC:
        raise SealedError("its form is newer than this release can read")
    length = file.read(4)
    size = struct.unpack(">I", length)[0] if len(length) == 4 else 0
    if not 0 < size <= _MOST_HEADER:
        raise SealedError("it is damaged: its header has no length")
    text = file.read(size)
    try:
        header = msgspec.json.decode(text, type=Header)
        salt = bytes.fromhex(header.scrypt.salt)
    except (msgspec.DecodeError, ValueError):
        raise SealedError("it is damaged: its header cannot be read") from None
    scrypt = header.scrypt
    sound = scrypt.n & (scrypt.n - 1) == 0 and 2 <= scrypt.n <= _MOST_COST
    if not sound or scrypt.r != _BLOCK or scrypt.p != _PARALLEL or len(salt) != _SALT or header.chunk != CHUNK:
        raise SealedError("it is damaged: its header asks for what no backup needs")
    return header, magic + length + text


class Reader:
    """Opens what `Writer` sealed. Every byte that is given was checked; `finish` checks that nothing is missing."""

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        self.header, front = read_header(file)
        key, mac = _keys(passphrase, self.header.scrypt)
        proof = file.read(hashlib.sha256().digest_size)
        if not hmac.compare_digest(proof, hmac.digest(mac, front, "sha256")):
            raise SealedError("the passphrase is wrong (or the header is damaged)")
        self._cipher = AESGCM(key)
        self._bound = hashlib.sha256(front).digest()
        self._file = file
        self._ready = bytearray()
        self._ahead = file.read(CHUNK + _TAG)
        self._number = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Exactly so many bytes. Raises SealedError where there are not."""
        while len(self._ready) < size:
            if self._ended:
                raise SealedError("it is damaged: it ends too early")
            self._open()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def finish(self) -> None:
        """Raises SealedError where something is left, or the end was not seen."""
        while not self._ended:
            self._open()
        if self._ready:
            raise SealedError("it is damaged: there is something behind its end")

    def _open(self) -> None:
        chunk, self._ahead = self._ahead, self._file.read(CHUNK + _TAG)
        last = not self._ahead
        try:
            self._ready += self._cipher.decrypt(_nonce(self._number, last), chunk, self._bound)
        except InvalidTag:
            at = f"piece {self._number + 1}" + (", with which the file ends" if last else "")
            raise SealedError(f"it is damaged, or a part of it is missing ({at})") from None
        self._number += 1
        self._ended = last


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def put(writer: Writer, message: bytes) -> None:
    """A message, with its length before it."""
    writer.write(struct.pack(">I", len(message)) + message)


def take(reader: Reader) -> bytes:
    """The next message. Raises SealedError."""
    size: int = struct.unpack(">I", reader.read(4))[0]
    return reader.read(size)
