"""configuration.properties: the manager's own file, read strictly and rewritten with care.

The format is Java's: ``key=value`` or ``key: value``, ``#`` and ``!`` comments, ``\\uXXXX`` and other escapes, lines
that go on after a backslash. We are stricter than Java where a slip would change a floor in silence: a line without a
separator, an escape that is none and an unfinished last line are errors with a line and a column. A rewrite touches
the lines of the one key and nothing else: comments, order, line endings, encoding and the file's mode stay.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from plimsoll.manager.database import EMBEDDED
from plimsoll.manager.database import parse as parse_address
from plimsoll.manager.ports import ServiceError
from plimsoll.tls.versions import FLOORS, Version, from_floor

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FILE_NAME = "configuration.properties"
PROTOCOLS = "protocols"
SERVICE_NAME = "serviceName"

#: Every key that we read; others belong to somebody else, are kept, and are said once.
KNOWN = (
    SERVICE_NAME,
    PROTOCOLS,
    "guiPort",
    "heartbeatPort",
    "listenAddress",
    "publicName",
    "database",
    "trustedProxies",
    "sightingsDays",
    "sightingsHourlyDays",
    "softwareCredential",
    "softwareDirectory",
    "softwareFolder",
    "softwareUpstream",
    "softwareUpstreamCa",
    "apiRequestsPerMinute",
    "apiRequestsPerMinuteAll",
    "scanNetworks",
    "logFormat",
)


class ConfigurationError(ServiceError):
    """The file cannot be used. `line` and `column` count from 1."""

    status = 400

    def __init__(self, path: Path, line: int, column: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}, column {column}: {problem}")
        self.path = path
        self.line = line
        self.column = column
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Entry:
    """One property and where it stands: natural lines `first` to `last` (from 0), its value's place for errors."""

    key: str
    value: str
    first: int
    last: int
    line: int
    column: int


_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_BLANKS = " \t\f"

# A logical line is a list of characters with the place that each came from.
_Chars = list[tuple[str, int, int]]


class Properties:
    """The text of a properties file, entry by entry. Values change by `with_value`, which leaves the rest alone."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines = [line for line in _LINE.findall(text) if line]
        self.entries = tuple(self._parse())

    def get(self, key: str) -> Entry | None:
        """The last entry of that key: as in Java, a later one wins."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def with_value(self, key: str, value: str | None, below: str | None = None) -> str:
        """The text with that value, or without the key. A new key goes below the entry of the key `below`."""
        ending = self._ending()
        mine = [entry for entry in self.entries if entry.key == key]
        dropped = {number for entry in mine for number in range(entry.first, entry.last + 1)}
        line = None if value is None else f"{key}={_escape(value)}{ending}"
        anchor = self.get(below) if below is not None else None
        at = mine[-1].first if mine else (anchor.last + 1 if anchor is not None else len(self._lines))
        lines: list[str] = []
        for number, text in enumerate([*self._lines, ""]):
            if number == at and line is not None:
                if lines and not lines[-1].endswith(("\n", "\r")):
                    lines[-1] += ending
                lines.append(line)
            if number not in dropped:
                lines.append(text)
        return "".join(lines)

    def _ending(self) -> str:
        first = self._lines[0] if self._lines else "\n"
        return first[len(first.rstrip("\r\n")) :] or "\n"

    def _error(self, line: int, column: int, problem: str) -> ConfigurationError:
        return ConfigurationError(self.path, line + 1, column + 1, problem)

    def _parse(self) -> list[Entry]:
        entries: list[Entry] = []
        number = 0
        while number < len(self._lines):
            stripped = self._lines[number].strip(_BLANKS + "\r\n")
            if not stripped or stripped[0] in "#!":
                number += 1
                continue
            chars, last = self._logical_line(number)
            entries.append(self._entry(chars, number, last))
            number = last + 1
        return entries

    def _logical_line(self, first: int) -> tuple[_Chars, int]:
        """The characters of the entry that begins in that line, and the last line that belongs to it."""
        chars: _Chars = []
        number = first
        while True:
            body = self._lines[number].rstrip("\r\n")
            start = len(body) - len(body.lstrip(_BLANKS))
            goes_on = (len(body) - len(body.rstrip("\\"))) % 2 == 1
            end = len(body) - 1 if goes_on else len(body)
            chars += [(body[column], number, column) for column in range(start, end)]
            if not goes_on:
                return chars, number
            if number + 1 >= len(self._lines):
                raise self._error(number, end, "the line goes on after a backslash, but the file ends here")
            number += 1

    def _entry(self, chars: _Chars, first: int, last: int) -> Entry:
        split = _separator(chars)
        if split is None:
            end = chars[-1] if chars else ("", first, -1)
            raise self._error(end[1], end[2] + 1, "expected '=' after the key")
        if split == 0:
            raise self._error(chars[0][1], chars[0][2], "there is no key before the separator")
        key_chars = chars[:split]
        while key_chars and key_chars[-1][0] in _BLANKS and (len(key_chars) < 2 or key_chars[-2][0] != "\\"):
            key_chars.pop()
        rest = chars[split + 1 :]
        while rest and rest[0][0] in _BLANKS:
            rest.pop(0)
        _, line, column = rest[0] if rest else ("", chars[split][1], chars[split][2] + 1)
        value = self._unescape(rest).rstrip(_BLANKS)
        return Entry(self._unescape(key_chars), value, first, last, line + 1, column + 1)

    def _unescape(self, chars: _Chars) -> str:
        out: list[str] = []
        index = 0
        while index < len(chars):
            char, line, column = chars[index]
            if char == "\0":
                raise self._error(line, column, "a NUL byte: this is not a text file")
            if char != "\\":
                out.append(char)
                index += 1
                continue
            escaped = chars[index + 1][0]
            if escaped == "u":
                digits = "".join(char for char, _, _ in chars[index + 2 : index + 6])
                if not re.fullmatch("[0-9a-fA-F]{4}", digits):
                    raise self._error(line, column, f"\\u must be followed by four hexadecimal digits, not {digits!r}")
                out.append(chr(int(digits, 16)))
                index += 6
            else:
                out.append(_ESCAPES.get(escaped, escaped))
                index += 2
        # Java writes what lies beyond 16 bits as two escapes.
        return "".join(out).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _separator(chars: _Chars) -> int | None:
    index = 0
    while index < len(chars):
        if chars[index][0] == "\\":
            index += 2
            continue
        if chars[index][0] in "=:":
            return index
        index += 1
    return None


def _escape(value: str) -> str:
    text = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    if text.startswith(" "):
        text = "\\" + text
    return "".join(char if " " <= char <= "~" else _as_unicode_escape(char) for char in text)


def _as_unicode_escape(char: str) -> str:
    data = char.encode("utf-16-be")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one reading of the file. `protocols` is the value as it stands there, None without the line."""

    service_name: str
    protocols: str | None
    gui_port: int
    heartbeat_port: int
    listen_address: str
    public_name: str
    database: str
    trusted_proxies: tuple[str, ...]
    unknown: tuple[str, ...]
    #: How long sightings are kept, and how long of that by the hour; after that by the day.
    sightings_days: int = 400
    sightings_hourly_days: int = 14
    #: The credential, or file, with the passphrase of the keys that sign the software repository's metadata.
    software_credential: str = ""
    #: Where signed packages are put to be imported, and where they are fetched from.
    software_folder: str = ""
    #: Where packages and metadata lie instead of HOME/software: a folder that several managers share.
    software_directory: str = ""
    software_upstream: str = ""
    software_upstream_ca: str = ""
    #: API requests a minute of each user or key (the reference's default), and of all together; 0 is no limit.
    requests_each: int = 500
    requests_all: int = 6000
    #: Networks with endpoints that are not the fleet's own and that this manager may scan all the same.
    scan_networks: tuple[Network, ...] = ()
    #: How the manager writes its log: lines of text, or of JSON.
    log_format: str = "text"


#: Ten years: longer than any auditor asks for.
LONGEST_DAYS = 3650

#: Settings that are read only when the manager starts.
AT_START = (
    "gui_port",
    "heartbeat_port",
    "listen_address",
    "public_name",
    "database",
    "trusted_proxies",
    "software_directory",
    "log_format",
)


def load(path: Path) -> Configuration:
    """Reads and checks the file. Raises ConfigurationError, with line and column where one can be named."""
    return _configuration(read_properties(path))


def parse(path: Path, text: str) -> Configuration:
    """The same for a text that is to be written there."""
    return _configuration(Properties(path, text))


def _configuration(properties: Properties) -> Configuration:
    found = {entry.key: entry for entry in properties.entries}
    configuration = Configuration(
        service_name=_text(properties, SERVICE_NAME, "Plimsoll"),
        protocols=_protocols(properties),
        gui_port=_port(properties, "guiPort", 4119),
        heartbeat_port=_port(properties, "heartbeatPort", 4120),
        listen_address=_text(properties, "listenAddress", "0.0.0.0"),
        public_name=_text(properties, "publicName", ""),
        database=_database(properties),
        trusted_proxies=tuple(filter(None, re.split(r"[,\s]+", _text(properties, "trustedProxies", "")))),
        unknown=tuple(key for key in found if key not in KNOWN),
        sightings_days=_days(properties, "sightingsDays", 400),
        sightings_hourly_days=_days(properties, "sightingsHourlyDays", 14),
        software_credential=_text(properties, "softwareCredential", ""),
        software_folder=_text(properties, "softwareFolder", ""),
        software_directory=_text(properties, "softwareDirectory", ""),
        software_upstream=_text(properties, "softwareUpstream", ""),
        software_upstream_ca=_text(properties, "softwareUpstreamCa", ""),
        requests_each=_requests(properties, "apiRequestsPerMinute", 500),
        requests_all=_requests(properties, "apiRequestsPerMinuteAll", 6000),
        scan_networks=_networks(properties, "scanNetworks"),
        log_format=_log_format(properties),
    )
    if configuration.gui_port == configuration.heartbeat_port != 0:
        entry = found.get("heartbeatPort") or found["guiPort"]
        problem = "guiPort and heartbeatPort are the same port"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem)
    return configuration


def read_properties(path: Path) -> Properties:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(path, 1, 1, f"cannot be read: {error.strerror}") from error
    return Properties(path, _decode(data)[0])


def _decode(data: bytes) -> tuple[str, str]:
    """The text and its encoding: UTF-8, or Java's older Latin-1 where it is not."""
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _text(properties: Properties, key: str, default: str) -> str:
    entry = properties.get(key)
    return entry.value if entry is not None else default


def _port(properties: Properties, key: str, default: int) -> int:
    entry = properties.get(key)
    if entry is None:
        return default
    if not re.fullmatch("[0-9]{1,5}", entry.value) or int(entry.value) > 65535:
        problem = f"{key} must be a port number from 0 to 65535, not {entry.value!r}"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem)
    return int(entry.value)


def _database(properties: Properties) -> str:
    entry = properties.get("database")
    if entry is None:
        return EMBEDDED
    try:
        address = parse_address(entry.value)
        if address is not None and address.password is not None:
            raise ValueError(
                "a password does not stand in this file: take it out, and write it as docs/configuration.md says"
            )
    except ValueError as error:
        # The value itself is not shown: it may hold a password.
        problem = f"database= {error}"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem) from None
    return entry.value


def _days(properties: Properties, key: str, default: int) -> int:
    entry = properties.get(key)
    if entry is None:
        return default
    if not re.fullmatch("[0-9]{1,4}", entry.value) or not 1 <= int(entry.value) <= LONGEST_DAYS:
        problem = f"{key} must be a number of days from 1 to {LONGEST_DAYS}, not {entry.value!r}"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem)
    return int(entry.value)


def _requests(properties: Properties, key: str, default: int) -> int:
    entry = properties.get(key)
    if entry is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", entry.value):
        problem = f"{key} must be a number of requests, or 0 for no limit, not {entry.value!r}"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem)
    return int(entry.value)


def _log_format(properties: Properties) -> str:
    entry = properties.get("logFormat")
    if entry is None:
        return "text"
    if entry.value not in ("text", "json"):
        problem = f"logFormat is text or json, not {entry.value!r}"
        raise ConfigurationError(properties.path, entry.line, entry.column, problem)
    return entry.value


def _networks(properties: Properties, key: str) -> tuple[Network, ...]:
    entry = properties.get(key)
    if entry is None:
        return ()
    found = []
    for text in filter(None, re.split(r"[,\s]+", entry.value)):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            problem = f"{key} lists networks such as 10.20.0.0/16 or 2001:db8::/48, with commas between them: {error}"
            raise ConfigurationError(properties.path, entry.line, entry.column, problem) from None
    return tuple(found)


def _protocols(properties: Properties) -> str | None:
    entry = properties.get(PROTOCOLS)
    if entry is None:
        return None
    try:
        listed(entry.value)
    except ValueError as error:
        raise ConfigurationError(properties.path, entry.line, entry.column, str(error)) from error
    return entry.value


def listed(protocols: str) -> tuple[Version, ...]:
    """The versions that a ``protocols=`` value lists. Raises ValueError for any other name, or none at all.

    Java's ``SSLv2Hello`` names a form of greeting, no version, and is passed over.
    """
    names = [name for name in re.split(r"[,\s]+", protocols) if name and name != "SSLv2Hello"]
    if not names:
        raise ValueError(
            f"protocols= names no version: list some of {', '.join(v.value for v in FLOORS)}, or remove the line"
        )
    return tuple(Version.parse_floor(name) for name in names)


def gui_floor(protocols: str | None, heartbeat: Version) -> Version:
    """4119's floor (design §5): the lowest that is listed, or, without the line, the newer of TLSv1.2 and 4120's."""
    if protocols is None:
        return max(Version.TLS1_2, heartbeat)
    return min(listed(protocols))


def protocols_for(gui: Version, heartbeat: Version) -> str | None:
    """The value that makes 4119's floor that version: None (no line) where the rule gives it anyway."""
    if gui_floor(None, heartbeat) is gui:
        return None
    return ",".join(version.value for version in from_floor(gui))


def digest(protocols: str | None) -> str:
    """What the store remembers of a value, so that only a changed value counts as an edit."""
    return "none" if protocols is None else hashlib.sha256(protocols.encode()).hexdigest()


def write_protocols(path: Path, value: str | None) -> None:
    """Puts the line below ``serviceName=``, changes it or takes it out; nothing is written where it stands so."""
    data = path.read_bytes()
    text, encoding = _decode(data)
    new = Properties(path, text).with_value(PROTOCOLS, value, below=SERVICE_NAME)
    if new != text:
        write_atomically(path, new.encode(encoding), stat.S_IMODE(path.stat().st_mode))


def write_value(path: Path, key: str, value: str | None) -> None:
    """Changes one line, adds it, or takes it out; comments and order stay."""
    data = path.read_bytes()
    text, encoding = _decode(data)
    new = Properties(path, text).with_value(key, value)
    if new != text:
        write_atomically(path, new.encode(encoding), stat.S_IMODE(path.stat().st_mode))


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The old content or the new, never a part of it, also after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes a rename in the directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
