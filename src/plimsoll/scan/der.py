"""An X.509 certificate (RFC 5280) read by its DER, as far as a scan needs it.

By hand for two reasons: what libraries refuse to load (an RSA exponent of 1, keys too short, serial numbers of zero)
is what a scan is there to find; and nothing heavy must be loaded for it. Signatures are not checked here. Only
`CertificateError` leaves it; text from names has its control characters escaped, since it goes to terminals.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

#: As many names as are read from one certificate; the largest seen in public have a few hundred.
MAX_NAMES: Final = 10_000
_MAX_EXTENSIONS: Final = 100

_BOOLEAN, _INTEGER, _BIT_STRING, _OCTETS, _OID, _SEQUENCE, _SET = 0x01, 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
_UTC_TIME, _GENERAL_TIME = 0x17, 0x18
_STRINGS: Final = {
    0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "latin-1", 0x1A: "ascii", 0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}  # fmt: skip

SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
KEY_USAGE: Final = "2.5.29.15"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
SUBJECT_KEY_ID: Final = "2.5.29.14"
AUTHORITY_KEY_ID: Final = "2.5.29.35"
AUTHORITY_ACCESS: Final = "1.3.6.1.5.5.7.1.1"
_CA_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"
SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
_ANY_USAGE: Final = "2.5.29.37.0"

_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.3": "md4WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.3.14.3.2.29": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.10040.4.3": "dsaWithSHA1",
    "2.16.840.1.101.3.4.3.1": "dsaWithSHA224",
    "2.16.840.1.101.3.4.3.2": "dsaWithSHA256",
    "1.3.101.112": "ED25519",
    "1.3.101.113": "ED448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_HASHES: Final = {
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA1",
    "2.16.840.1.101.3.4.2.4": "SHA224",
    "2.16.840.1.101.3.4.2.1": "SHA256",
    "2.16.840.1.101.3.4.2.2": "SHA384",
    "2.16.840.1.101.3.4.2.3": "SHA512",
}
_RSA: Final = {"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"}
_DSA: Final = "1.2.840.10040.4.1"
_EC: Final = "1.2.840.10045.2.1"
#: Key algorithms without parameters: kind and bits.
_PLAIN_KEYS: Final = {
    "1.3.101.112": ("ed25519", 256), "1.3.101.113": ("ed448", 448), "2.16.840.1.101.3.4.3.17": ("mldsa44", 10496),
    "2.16.840.1.101.3.4.3.18": ("mldsa65", 15616), "2.16.840.1.101.3.4.3.19": ("mldsa87", 20736),
}  # fmt: skip
#: Curve -> its TLS name and its bits.
_CURVES: Final = {
    "1.2.840.10045.3.1.1": ("secp192r1", 192), "1.2.840.10045.3.1.7": ("secp256r1", 256),
    "1.3.132.0.1": ("sect163k1", 163), "1.3.132.0.2": ("sect163r1", 163), "1.3.132.0.8": ("secp160r1", 160),
    "1.3.132.0.9": ("secp160k1", 160), "1.3.132.0.10": ("secp256k1", 256), "1.3.132.0.15": ("sect163r2", 163),
    "1.3.132.0.16": ("sect283k1", 283), "1.3.132.0.17": ("sect283r1", 283), "1.3.132.0.26": ("sect233k1", 233),
    "1.3.132.0.27": ("sect233r1", 233), "1.3.132.0.30": ("secp160r2", 160), "1.3.132.0.31": ("secp192k1", 192),
    "1.3.132.0.32": ("secp224k1", 224), "1.3.132.0.33": ("secp224r1", 224), "1.3.132.0.34": ("secp384r1", 384),
    "1.3.132.0.35": ("secp521r1", 521), "1.3.132.0.36": ("sect409k1", 409), "1.3.132.0.37": ("sect409r1", 409),
    "1.3.132.0.38": ("sect571k1", 571), "1.3.132.0.39": ("sect571r1", 571),
    "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256), "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
    "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512), "1.2.156.10197.1.301": ("curveSM2", 256),
}  # fmt: skip
_ATTRIBUTES: Final = {
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
    "2.5.4.5": "serialNumber", "2.5.4.9": "street", "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "emailAddress",
}  # fmt: skip
_COMMON_NAME: Final = "2.5.4.3"
_REST_OF_TIME: Final = r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?Z"
_TIMES: Final = {
    _UTC_TIME: re.compile(r"(\d\d)" + _REST_OF_TIME),
    _GENERAL_TIME: re.compile(r"(\d{4})" + _REST_OF_TIME),
}


class CertificateError(ValueError):
    """The bytes are no certificate that could be read; the text says where it broke."""


class Key(NamedTuple):
    """The subject's key: `curve` for "ec", `exponent` for "rsa"."""

    kind: str
    bits: int
    curve: str = ""
    exponent: int = 0


class Part(NamedTuple):
    """One DER value: its tag, where its whole begins, and where its content begins and ends."""

    tag: int
    whole: int
    start: int
    end: int


@dataclass(frozen=True)
class Certificate:
    """What stands in a certificate. `subject` and `issuer` are text, `..._der` what is compared."""

    version: int
    serial: int
    signature: str
    subject: str
    issuer: str
    subject_der: bytes
    issuer_der: bytes
    common_names: tuple[str, ...]
    not_before: float
    not_after: float
    key: Key
    #: Object identifier -> (critical, value).
    extensions: dict[str, tuple[bool, bytes]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def is_authority(self) -> bool:
        """True where it may sign other certificates (before version 3 nothing says that it may not)."""
        found = self.extensions.get(BASIC_CONSTRAINTS)
        if found is None:
            return self.version < 3
        value = _only(found[1], _SEQUENCE)
        return any(
            part.tag == _BOOLEAN and found[1][part.start : part.end] != b"\0" for part in _inside(found[1], value)
        )

    @property
    def path_length(self) -> int | None:
        """How many authorities may stand below this one, or None where that is not bounded."""
        found = self.extensions.get(BASIC_CONSTRAINTS)
        if found is None:
            return None
        numbers = [part for part in _inside(found[1], _only(found[1], _SEQUENCE)) if part.tag == _INTEGER]
        return _number(found[1], numbers[0]) if numbers else None

    @property
    def may_sign_certificates(self) -> bool:
        """False where the key usage says that the key signs no certificates."""
        found = self.extensions.get(KEY_USAGE)
        if found is None:
            return True
        bits = found[1][_only(found[1], _BIT_STRING).start :]
        return len(bits) > 1 and bool(bits[1] & 0x04)

    @property
    def for_servers(self) -> bool:
        """False where the extended key usage leaves out TLS servers."""
        found = self.extensions.get(EXTENDED_KEY_USAGE)
        if found is None:
            return True
        uses = {_oid(found[1][part.start : part.end]) for part in _inside(found[1], _only(found[1], _SEQUENCE))}
        return not uses.isdisjoint((SERVER_AUTH, _ANY_USAGE))

    @property
    def names_its_issuers_place(self) -> bool:
        """True where it says where its issuer's certificate can be fetched: public authorities do."""
        found = self.extensions.get(AUTHORITY_ACCESS)
        if found is None:
            return False
        value = found[1]
        ways = _inside(value, _only(value, _SEQUENCE))
        return any(_oid(value[p.start : p.end]) == _CA_ISSUERS for way in ways for p in [*_inside(value, way)][:1])


@lru_cache(maxsize=4096)
def read_certificate(data: bytes) -> Certificate:
    """The certificate in that DER. Raises CertificateError."""
    try:
        return _read(data)
    except (IndexError, ValueError, OverflowError, UnicodeError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"the certificate is malformed: {error}") from None


def _read(data: bytes) -> Certificate:
    outer = [*_inside(data, _only(data, _SEQUENCE))]
    if [part.tag for part in outer] != [_SEQUENCE, _SEQUENCE, _BIT_STRING]:
        raise CertificateError("the certificate does not have its three parts")
    parts = [*_inside(data, outer[0])]
    version = 1
    if parts and parts[0].tag == 0xA0:
        inner = [*_inside(data, parts.pop(0))]
        version = _number(data, inner[0]) + 1 if inner else 1
    if [part.tag for part in parts[:6]] != [_INTEGER, *[_SEQUENCE] * 5]:
        raise CertificateError("the certificate's body does not have its parts")
    serial, _, issuer, validity, subject, key = parts[:6]
    times = [*_inside(data, validity)]
    if len(times) != 2:
        raise CertificateError("the certificate does not have two dates")
    extensions = _extensions(data, [part for part in parts[6:] if part.tag == 0xA3])
    names, addresses = _alternative_names(extensions.get(SUBJECT_ALTERNATIVE_NAME, (False, b""))[1])
    subject_text, common_names = _name(data, subject)
    return Certificate(
        version=version,
        serial=_number(data, serial),
        signature=_signature(data, outer[1]),
        subject=subject_text,
        issuer=_name(data, issuer)[0],
        subject_der=data[subject.whole : subject.end],
        issuer_der=data[issuer.whole : issuer.end],
        common_names=common_names,
        not_before=_time(data, times[0]),
        not_after=_time(data, times[1]),
        key=_key(data, key),
        extensions=extensions,
        names=names,
        addresses=addresses,
    )


# DER itself


def _part(data: bytes, at: int, end: int) -> Part:
    if end - at < 2:
        raise CertificateError("a value is cut off")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise CertificateError("a tag of more than one byte")
    if length & 0x80:
        width = length & 0x7F
        if not 1 <= width <= 4 or end - start < width:
            raise CertificateError("a length of an unknown form")
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    if length > end - start:
        raise CertificateError("a value longer than what holds it")
    return Part(tag, at, start, start + length)


def _inside(data: bytes, part: Part) -> Iterator[Part]:
    at = part.start
    while at < part.end:
        found = _part(data, at, part.end)
        yield found
        at = found.end


def _only(data: bytes, tag: int) -> Part:
    found = _part(data, 0, len(data))
    if found.tag != tag or found.end != len(data):
        raise CertificateError("bytes that are not one value of the kind expected")
    return found


def _number(data: bytes, part: Part) -> int:
    if part.tag != _INTEGER:
        raise CertificateError("no number where one belongs")
    return int.from_bytes(data[part.start : part.end], "big", signed=True)


@lru_cache(maxsize=1024)
def _oid(body: bytes) -> str:
    if not body or body[-1] & 0x80 or len(body) > 64:
        raise CertificateError("an object identifier is malformed")
    numbers, value = [], 0
    for byte in body:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _identified(data: bytes, part: Part) -> tuple[str, list[Part]]:
    """The object identifier that a sequence begins with, and what follows it."""
    parts = [*_inside(data, part)]
    if not parts or parts[0].tag != _OID:
        raise CertificateError("no object identifier where one belongs")
    return _oid(data[parts[0].start : parts[0].end]), parts[1:]


def _time(data: bytes, part: Part) -> float:
    text = data[part.start : part.end].decode("ascii")
    form = _TIMES.get(part.tag)
    found = form.fullmatch(text) if form else None
    if not found:
        raise CertificateError("a date is malformed")
    year, month, day, hour, minute, second = (int(group or 0) for group in found.groups())
    if part.tag == _UTC_TIME:
        year += 1900 if year >= 50 else 2000
    return float(((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date in the Gregorian calendar; a module for dates takes longer to load than a scan."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise CertificateError("a date is malformed")
    # Years begin in March here, so that the day that is not in every year comes last.
    years = year - (month <= 2)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + of_year - 719_468


# Its contents


def _signature(data: bytes, part: Part) -> str:
    oid, parameters = _identified(data, part)
    name = _SIGNATURES.get(oid, oid)
    if name != "rsassaPss":
        return name
    hashed = "SHA1"  # the default of RFC 4055
    for parameter in parameters[:1]:
        for option in _inside(data, parameter):
            if option.tag == 0xA0:
                inner = _identified(data, _part(data, option.start, option.end))[0]
                hashed = _HASHES.get(inner, inner)
    return f"rsassaPss-with-{hashed}"


def _key(data: bytes, part: Part) -> Key:
    parts = [*_inside(data, part)]
    if len(parts) != 2 or parts[1].tag != _BIT_STRING:
        raise CertificateError("the key is malformed")
    oid, parameters = _identified(data, parts[0])
    bits = data[parts[1].start + 1 : parts[1].end]
    if oid in _RSA:
        modulus, exponent = [_number(bits, one) for one in _inside(bits, _only(bits, _SEQUENCE))][:2]
        return Key("rsa", modulus.bit_length(), exponent=exponent)
    if oid == _EC:
        if parameters and parameters[0].tag == _OID:
            curve = _oid(data[parameters[0].start : parameters[0].end])
            return Key("ec", _CURVES.get(curve, (curve, 0))[1], _CURVES.get(curve, (curve, 0))[0])
        # Explicit parameters: the size shows in the point itself.
        return Key("ec", (len(bits) - 1) // 2 * 8 if bits[:1] == b"\x04" else 0, "explicit")
    if oid == _DSA:
        prime = [*_inside(data, parameters[0])][:1] if parameters else []
        return Key("dsa", _number(data, prime[0]).bit_length() if prime else 0)
    kind, size = _PLAIN_KEYS.get(oid, (oid, 0))
    return Key(kind, size)


def _extensions(data: bytes, blocks: list[Part]) -> dict[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    for block in blocks:
        for extension in _inside(data, _part(data, block.start, block.end)):
            oid, rest = _identified(data, extension)
            if not rest or rest[-1].tag != _OCTETS or len(found) >= _MAX_EXTENSIONS:
                raise CertificateError("an extension is malformed")
            critical = rest[0].tag == _BOOLEAN and data[rest[0].start : rest[0].end] != b"\0"
            found.setdefault(oid, (critical, data[rest[-1].start : rest[-1].end]))
    return found


def _alternative_names(value: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, addresses = [], []
    for part in _inside(value, _only(value, _SEQUENCE)) if value else ():
        body = value[part.start : part.end]
        if part.tag == 0x82:
            names.append(printable(body.decode("latin-1")))
        elif part.tag == 0x87 and len(body) in (4, 16):
            addresses.append(str(ipaddress.ip_address(body)))
        if len(names) + len(addresses) >= MAX_NAMES:
            break
    return tuple(names), tuple(addresses)


def _name(data: bytes, part: Part) -> tuple[str, tuple[str, ...]]:
    """A distinguished name as RFC 4514 writes it, last part first, and the common names in it."""
    texts, common = [], []
    for group in _inside(data, part):
        pair = []
        for attribute in _inside(data, group):
            oid, values = _identified(data, attribute)
            encoding = _STRINGS.get(values[0].tag) if values else None
            raw = data[values[0].start : values[0].end] if values else b""
            text = raw.decode(encoding, "replace") if encoding else "#" + raw.hex()
            text = printable(text)
            if oid == _COMMON_NAME:
                common.append(text)
            pair.append(f"{_ATTRIBUTES.get(oid, oid)}={_escaped(text)}")
        texts.append("+".join(pair))
    return ",".join(reversed(texts)), tuple(common)


def _escaped(text: str) -> str:
    return re.sub(r'([,+"\\<>;])|(^[ #])|( $)', r"\\\g<0>", text)


def printable(text: str) -> str:
    """Text from a stranger with everything that could steer a terminal written out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
