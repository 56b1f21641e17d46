"""TLS 1.3's key schedule and its protected records (RFC 8446 §5.2, §7.1), as a client that only asks needs them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from plimsoll.tls.records import MAX_PLAINTEXT, RECORD_HEADER, HelloError, Reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

APPLICATION_DATA: Final = 23
_TAG_SPACE: Final = 256
_IV_LENGTH: Final = 12
_CCM_8: Final = 0x1305

#: Suite -> (hash, key length). Those of RFC 8446 appendix B.4.
SUITES: Final = {
    0x1301: ("sha256", 16),
    0x1302: ("sha384", 32),
    0x1303: ("sha256", 32),
    0x1304: ("sha256", 16),
    0x1305: ("sha256", 16),
}


def extract(name: str, salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    return hmac.digest(salt or bytes(hashlib.new(name).digest_size), secret, name)


def expand_label(name: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 §7.1)."""
    full = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes((len(full),)) + full + bytes((len(context),)) + context
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes((counter,)), name)
        output += block
        counter += 1
    return output[:length]


class Schedule:
    """The secrets of one connection: begins with the early secret, `mix` takes it one step down at a time."""

    def __init__(self, name: str, psk: bytes = b"") -> None:
        self.name = name
        self.size = hashlib.new(name).digest_size
        self._empty = hashlib.new(name).digest()
        self.secret = extract(name, b"", psk or bytes(self.size))

    def mix(self, secret: bytes = b"") -> None:
        """From the early secret to the handshake secret (with the shared secret), from there to the master secret."""
        salt = self.derive(b"derived", self._empty)
        self.secret = extract(self.name, salt, secret or bytes(self.size))

    def derive(self, label: bytes, transcript: bytes) -> bytes:
        """Derive-Secret, with the transcript already hashed."""
        return expand_label(self.name, self.secret, label, transcript, self.size)

    def binder(self, transcript: bytes) -> bytes:
        """What proves that this side knows the PSK that the schedule began with (RFC 8446 §4.2.11.2)."""
        return self.finished(self.derive(b"res binder", self._empty), transcript)

    def finished(self, traffic_secret: bytes, transcript: bytes) -> bytes:
        """The verify_data of a Finished message under that traffic secret."""
        key = expand_label(self.name, traffic_secret, b"finished", b"", self.size)
        return hmac.digest(key, transcript, self.name)

    def resumption(self, transcript: bytes, nonce: bytes) -> bytes:
        """The PSK that a ticket with that nonce stands for; `transcript` ends with the client's Finished."""
        return expand_label(self.name, self.derive(b"res master", transcript), b"resumption", nonce, self.size)


class Protection:
    """Seals or opens the records of one direction under one traffic secret."""

    def __init__(self, suite: int, traffic_secret: bytes) -> None:
        name, length = SUITES[suite]
        self._aead = _aead(suite)(expand_label(name, traffic_secret, b"key", b"", length))
        self._iv = int.from_bytes(expand_label(name, traffic_secret, b"iv", b"", _IV_LENGTH), "big")
        self._tag = 8 if suite == _CCM_8 else 16
        self._sequence = 0

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._sequence).to_bytes(_IV_LENGTH, "big")
        self._sequence += 1
        return nonce

    def seal(self, kind: int, data: bytes) -> bytes:
        """One protected record, for data that fit into one."""
        inner = data + bytes((kind,))
        header = bytes((APPLICATION_DATA, 3, 3)) + (len(inner) + self._tag).to_bytes(2, "big")
        return header + self._aead.encrypt(self._nonce(), inner, header)

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The kind of content and the content of a protected record. Raises HelloError."""
        from cryptography.exceptions import InvalidTag

        try:
            inner = self._aead.decrypt(self._nonce(), body, header).rstrip(b"\0")
        except (InvalidTag, ValueError):
            raise HelloError(Reason.MALFORMED, "a protected record that does not open with the keys agreed") from None
        if not inner or len(inner) - 1 > MAX_PLAINTEXT:
            raise HelloError(Reason.MALFORMED, "a protected record without content or with too much of it")
        return inner[-1], inner[:-1]


def record_end(data: bytes | bytearray, start: int) -> int | None:
    """Where the record that begins there ends, or None while its header is not whole. Raises HelloError."""
    if len(data) - start < RECORD_HEADER:
        return None
    length = data[start + 3] << 8 | data[start + 4]
    if length > MAX_PLAINTEXT + _TAG_SPACE:
        raise HelloError(Reason.MALFORMED, f"a record of {length} bytes")
    return start + RECORD_HEADER + length


def _aead(suite: int) -> Callable[[bytes], AESGCM | AESCCM | ChaCha20Poly1305]:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

    if suite == 0x1303:
        return ChaCha20Poly1305
    if suite == 0x1304:
        return AESCCM
    if suite == _CCM_8:
        return lambda key: AESCCM(key, tag_length=8)
    return AESGCM
