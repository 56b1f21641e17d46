"""Where the manager's database is: the value of ``database=``, read strictly. A password never stands in it.

``sqlite`` is the file in the manager's home. ``postgresql://user@host:port/name?sslmode=verify-full`` is PostgreSQL, by
the rules of libpq's own addresses: several hosts with commas between them, ``?host=/run/postgresql`` for a socket, and
the parameters of `OPTIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

#: The value that means the file in the manager's home.
EMBEDDED = "sqlite"
DEFAULT_PORT = "5432"

#: What libpq calls these; what is a secret or would change what we send is left out.
OPTIONS = (
    "host",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl_min_protocol_version",
    "channel_binding",
    "gssencmode",
    "krbsrvname",
    "passfile",
    "connect_timeout",
    "target_session_attrs",
    "options",
)
#: Those that say for certain whether the way is encrypted.
SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
#: Those of libpq that go on in clear text without a word.
FALLING_BACK = ("allow", "prefer")
#: Whoever writes one of these means encryption: it would count for nothing on a connection in clear text.
_MEANS_TLS = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version")
#: Files, by absolute path: a manager that is started elsewhere must find them too.
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_FORM = "postgresql://user@host:port/name?sslmode=verify-full"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A PostgreSQL database. `password` is set only where somebody wrote it into the address, and is never shown."""

    user: str
    hosts: tuple[str, ...]
    ports: tuple[str, ...]
    name: str
    options: tuple[tuple[str, str], ...] = ()
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """The address as it stands in the file and is shown: without a password."""
        hosts = ",".join(
            (f"[{host}]" if ":" in host else quote(host, safe=""))
            + (f":{port}" if port != DEFAULT_PORT or not host else "")
            for host, port in zip(self.hosts, self.ports, strict=True)
        )
        query = "&".join(f"{key}={quote(value, safe='/,:')}" for key, value in self.options)
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        return f"postgresql://{user}{hosts}/{quote(self.name, safe='')}{'?' + query if query else ''}"

    @property
    def ssl_mode(self) -> str:
        """One of `SSL_MODES`, or empty where the address leaves it to libpq."""
        return dict(self.options).get("sslmode", "")

    @property
    def encrypted(self) -> bool:
        """Whether the address asks for encryption, so that nothing may go on without it."""
        return self.ssl_mode not in ("", "disable") or dict(self.options).get("gssencmode") == "require"

    @property
    def local(self) -> bool:
        """By a socket of this computer, which nobody else can listen to."""
        named = dict(self.options).get("host", ",".join(self.hosts))
        return all(host.startswith(("/", "@")) for host in named.split(","))

    def parameters(self) -> dict[str, str]:
        """The same as libpq's keywords."""
        given = {"dbname": self.name, "port": ",".join(self.ports)}
        if self.user:
            given["user"] = self.user
        if any(self.hosts):
            given["host"] = ",".join(self.hosts)
        return given | dict(self.options)

    def passfile_line(self, password: str) -> str:
        """A line of a libpq password file that is good for this user and database, wherever they are."""
        escaped = (part.replace("\\", "\\\\").replace(":", "\\:") for part in (self.name, self.user or "*", password))
        return ":".join(("*", "*", *escaped)) + "\n"


def parse(text: str) -> DatabaseAddress | None:
    """None for the embedded database. Raises ValueError with what is wrong, and never with the text itself: it may
    hold a password.
    """
    if text == EMBEDDED:
        return None
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise ValueError(f"must be {EMBEDDED} or an address of the form {_FORM}")
    if any(mark.isspace() or not mark.isprintable() for mark in text):
        raise ValueError("must not contain blanks or unprintable characters; write them as %20 and the like")
    try:
        parts = urlsplit(text)
    except ValueError:  # its words would show the address
        raise ValueError(f"is no address; the form is {_FORM}") from None
    credentials, _, places = parts.netloc.rpartition("@")
    user, has_password, password = credentials.partition(":")
    name = unquote(parts.path.removeprefix("/"))
    if parts.fragment or "/" in parts.path.removeprefix("/"):
        raise ValueError(f"must have the form {_FORM}; other marks are written as %2F and the like")
    if not name:
        raise ValueError(f"names no database; the form is {_FORM}")
    hosts, ports = zip(*map(_place, places.split(",")), strict=True)
    return DatabaseAddress(
        unquote(user), hosts, ports, name, _options(parts.query), unquote(password) if has_password else None
    )


def _place(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("must have IPv6 addresses in brackets: [2001:db8::5]:5432")
    port = port or DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError("names a port that is no number from 1 to 65535")
    return unquote(host), port


def _options(query: str) -> tuple[tuple[str, str], ...]:
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("has parameters that are not of the form name=value&name=value") from None
    names = [name for name, _ in options]
    for name, value in options:
        if name in ("password", "sslpassword"):
            raise ValueError(f"has the parameter {name}: a password does not stand in an address")
        if name not in OPTIONS:
            raise ValueError(f"has an unknown parameter {name!r}; valid are {', '.join(OPTIONS)}")
        if names.count(name) > 1:
            raise ValueError(f"has the parameter {name} more than once")
        if name == "sslmode" and value in FALLING_BACK:
            raise ValueError(
                f"has sslmode={value}, which goes on in clear text without a word where the server, or somebody in"
                " between, does not encrypt. Write verify-full (encrypted, and the server is checked), require"
                " (encrypted, not checked) or disable"
            )
        if name == "sslmode" and value not in SSL_MODES:
            raise ValueError(f"has a sslmode that is none of {', '.join(SSL_MODES)}")
        if name in _FILES and not Path(value).is_absolute() and not (name == "sslrootcert" and value == "system"):
            raise ValueError(f"names the file of {name} without its whole path")
        if name == "connect_timeout" and not (value.isascii() and value.isdigit()):
            raise ValueError("has a connect_timeout that is no number of seconds")
    meant = [name for name in names if name in _MEANS_TLS]
    if meant and "sslmode" not in names:
        raise ValueError(
            f"has {meant[0]} and no sslmode, so that it could go on in clear text without a word. Add"
            " sslmode=verify-full, or verify-ca or require"
        )
    return tuple(options)
