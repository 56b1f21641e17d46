"""Real TLS servers of several makes, configured at random by seed: what the scanner is compared on with its peers.

Every server listens on loopback on a free port, as the user of the tests; PostgreSQL alone, which refuses to run as
root, becomes the user that its package made.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from plimsoll.tls.versions import FLOORS, Version
from tests.support.process import free_ports

#: OpenSSL's names, from which a configuration draws; none that Debian's OpenSSL does not have.
_MODERN_RSA = ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305")
_MODERN_ECDSA = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")
_CBC_RSA = (
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "CAMELLIA128-SHA256",
)
_CBC_ECDSA = ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES256-CCM")
_OLD_RSA = ("AES128-SHA", "AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "CAMELLIA256-SHA")
_OLD_ECDSA = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA")
_DHE_RSA = ("DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-SHA", "DHE-RSA-AES256-SHA256")
_NULL_RSA = ("NULL-SHA", "NULL-SHA256", "ADH-AES128-SHA")

Places = dict["Setup", tuple[str, int]]

_SUFFIX = {Version.TLS1_0: "", Version.TLS1_1: ".1", Version.TLS1_2: ".2", Version.TLS1_3: ".3"}


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration. `suites` in OpenSSL's names for TLS 1.2 and older; `keys` are "rsa", "ec" or both."""

    make: str
    versions: tuple[Version, ...]
    suites: tuple[str, ...]
    keys: tuple[str, ...]
    server_order: bool
    curves: tuple[str, ...] = ("X25519", "P-256")

    @property
    def oldest(self) -> Version:
        return self.versions[0]

    @property
    def newest(self) -> Version:
        return self.versions[-1]

    def __str__(self) -> str:
        span = f"{self.oldest}-{self.newest}"
        order = "server's order" if self.server_order else "client's order"
        return f"{self.make} {span} {'+'.join(self.keys)} {order} {':'.join(self.suites)}"


def draw(make: str, number: random.Random, *, weak: bool = True) -> Setup:
    """A configuration that such a server can hold and answer with."""
    oldest = number.randrange(4)
    newest = 3 if make == "dovecot" else number.randrange(oldest, 4)  # Dovecot has no setting for the newest
    versions = FLOORS[oldest : newest + 1]
    keys = number.choice((("rsa",), ("ec",), ("rsa", "ec")))
    pool: list[str] = []
    if "rsa" in keys:
        pool += [*_MODERN_RSA, *_CBC_RSA, *_OLD_RSA, *_DHE_RSA]
        if weak and number.random() < 0.3:
            pool += _NULL_RSA
    if "ec" in keys:
        pool += [*_MODERN_ECDSA, *_CBC_ECDSA, *_OLD_ECDSA]
    suites = number.sample(pool, number.randint(2, min(12, len(pool))))
    # Each version that is on needs a suite of its own.
    must = {Version.TLS1_0: _OLD_RSA if "rsa" in keys else _OLD_ECDSA}
    if oldest <= 1 and not set(suites) & {*_OLD_RSA, *_OLD_ECDSA}:
        suites.append(must[Version.TLS1_0][0])
    curves = tuple(number.sample(("X25519", "P-256", "P-384", "P-521"), number.randint(1, 3)))
    if "ec" in keys and "P-256" not in curves:
        curves += ("P-256",)  # the certificate's own curve: without it no ECDSA suite of 1.2 works
    return Setup(make, versions, tuple(suites), keys, number.random() < 0.7, curves)


@dataclass(slots=True)
class Files:
    """Certificates for the servers, made with the openssl command: `rsa` and `ec`, key and certificate apart."""

    folder: Path
    names: dict[str, tuple[Path, Path]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Files:
        made = cls(folder)
        for name, kind in (("rsa", ["rsa:2048"]), ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
            key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
            command = ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-sha256", "-days", "30"]
            command += ["-subj", "/CN=target.test", "-addext", "subjectAltName=DNS:target.test"]
            subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
            both = folder / f"both.pem.{name}"
            both.write_bytes(certificate.read_bytes() + key.read_bytes())
            made.names[name] = (certificate, key)
        parameters = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"]
        subprocess.run([*parameters, "-out", folder / "dh.pem"], check=True, capture_output=True)
        folder.chmod(0o755)
        return made


@contextlib.contextmanager
def serving(setups: list[Setup], files: Files, *, everywhere: bool = False) -> Iterator[dict[Setup, tuple[str, int]]]:
    """Run servers for all setups; the answer names each one's address. All are stopped at the end.

    `everywhere` lets nginx answer on all of 127.0.0.0/8. PostgreSQL has its own port, on addresses of its own: by the
    port nmap knows what to say before TLS.
    """
    numbers = iter(free_ports(len(setups)))
    own = _free_addresses(5432)
    places = {
        setup: (next(own), 5432) if setup.make == "postgresql" else ("127.0.0.1", next(numbers)) for setup in setups
    }
    starters: dict[str, Callable[[Places, Files], AbstractContextManager[None]]] = {
        "nginx": partial(_nginx, host="0.0.0.0" if everywhere else "127.0.0.1"),
        "haproxy": _haproxy,
        "openssl": _s_server,
        "gnutls": _gnutls,
        "postgresql": _postgresql,
        "dovecot": _dovecot,
    }
    with contextlib.ExitStack() as stack:
        for make, start in starters.items():
            mine = {setup: place for setup, place in places.items() if setup.make == make}
            if mine:
                stack.enter_context(start(mine, files))
        for place in places.values():
            _wait_for(place)
        yield places


def _free_addresses(port: int) -> Iterator[str]:
    """Addresses of loopback on which nobody has that port."""
    for number in range(61, 250):
        address = f"127.0.{random.randrange(1, 250)}.{number}"
        if not _answers((address, port)):
            yield address


def _answers(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, 1).close()
    except OSError:
        return False
    return True


def _wait_for(place: tuple[str, int]) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(place, 2).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def _running(command: list[str | Path], folder: Path, **options: object) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            if process.stdin is not None:
                process.stdin.close()


@contextlib.contextmanager
def _nginx(setups: Places, files: Files, host: str) -> Iterator[None]:
    servers = []
    for setup, (_, port) in setups.items():
        pairs = "".join(
            f"ssl_certificate {files.names[key][0]}; ssl_certificate_key {files.names[key][1]};" for key in setup.keys
        )
        protocols = " ".join(f"TLSv1{_SUFFIX[version]}" for version in setup.versions)
        servers.append(
            f"server {{ listen {host}:{port} ssl; {pairs} ssl_protocols {protocols};"
            f" ssl_ciphers {':'.join(setup.suites)}:@SECLEVEL=0; ssl_dhparam {files.folder}/dh.pem;"
            f" ssl_ecdh_curve {':'.join(setup.curves)};"
            f" ssl_prefer_server_ciphers {'on' if setup.server_order else 'off'}; return 200; }}"
        )
    # Each of a port's own: nginx takes the protocols of a socket from its default server, and each has one server.
    text = (
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events { worker_connections 2000; }\n"
        f"http {{ access_log off; {_TEMPORARY}\n" + "\n".join(servers) + "\n}\n"
    )
    folder = files.folder / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    with _running([binary, "-p", folder, "-c", folder / "nginx.conf"], folder):
        yield


_TEMPORARY = " ".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


@contextlib.contextmanager
def _haproxy(setups: Places, files: Files) -> Iterator[None]:
    lines = ["global", "  maxconn 2000", "  tune.ssl.default-dh-param 2048"]
    lines += ["defaults", "  mode http", "  timeout client 10s", "  timeout connect 5s", "  timeout server 5s"]
    folder = files.folder / "haproxy"
    for number, (setup, (_, port)) in enumerate(setups.items()):
        store = folder / f"store{number}"
        store.mkdir(parents=True, exist_ok=True)
        for key in setup.keys:
            shutil.copy(files.folder / f"both.pem.{key}", store / f"site.pem.{'ecdsa' if key == 'ec' else key}")
        crt = store / "site.pem" if len(setup.keys) > 1 else next(store.iterdir())
        lines += [
            f"frontend f{number}",
            f"  bind 127.0.0.1:{port} ssl crt {crt} ciphers {':'.join(setup.suites)}:@SECLEVEL=0"
            f" curves {':'.join(setup.curves)}"
            f" ssl-min-ver TLSv1.{setup.oldest.wire - 0x301} ssl-max-ver TLSv1.{setup.newest.wire - 0x301}"
            + ("" if setup.server_order else " prefer-client-ciphers"),
            "  http-request return status 200",
        ]
    (folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")
    binary = shutil.which("haproxy") or "/usr/sbin/haproxy"
    with _running([binary, "-f", folder / "haproxy.cfg", "-db"], folder):
        yield


@contextlib.contextmanager
def _s_server(setups: Places, files: Files) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for setup, (_, port) in setups.items():
            command: list[str | Path] = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
            first, *second = setup.keys
            command += ["-cert", files.names[first][0], "-key", files.names[first][1]]
            for key in second:
                command += ["-dcert", files.names[key][0], "-dkey", files.names[key][1]]
            for version in FLOORS:
                if version not in setup.versions:
                    command.append(f"-no_tls1{_SUFFIX[version].replace('.', '_')}")
            command += ["-cipher", ":".join((*setup.suites, "@SECLEVEL=0")), "-dhparam", files.folder / "dh.pem"]
            command += ["-groups", ":".join(setup.curves)]
            if setup.server_order:
                command.append("-serverpref")
            stack.enter_context(_running(command, files.folder))
        yield


@contextlib.contextmanager
def _gnutls(setups: Places, files: Files) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for setup, (_, port) in setups.items():
            versions = ":".join(f"+VERS-TLS1.{version.wire - 0x301}" for version in setup.versions)
            priority = f"NORMAL:-VERS-ALL:{versions}:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1"
            if setup.server_order:
                priority += ":%SERVER_PRECEDENCE"
            command: list[str | Path] = [
                "gnutls-serv",
                "--http",
                "--quiet",
                "--port",
                str(port),
                "--priority",
                priority,
            ]
            for key in setup.keys:
                command += ["--x509keyfile", files.names[key][1], "--x509certfile", files.names[key][0]]
            stack.enter_context(_running(command, files.folder))
        yield


@contextlib.contextmanager
def _postgresql(setups: Places, files: Files) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for number, (setup, (host, _)) in enumerate(setups.items()):
            folder = files.folder / f"postgresql{number}"
            stack.enter_context(_one_postgresql(setup, host, folder, files))
        yield


_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
mail_location = maildir:{folder}/mail
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
{second}
ssl_min_protocol = TLSv1{oldest}
ssl_cipher_list = {suites}
ssl_curve_list = {curves}
ssl_prefer_server_ciphers = {order}
ssl_dh = <{parameters}
passdb {{
  driver = static
  args = nopassword=y
}}
service imap-login {{
  chroot =
  service_count = 0
  client_limit = 500
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
service stats {{
  client_limit = 1000
}}
"""


@contextlib.contextmanager
def _dovecot(setups: Places, files: Files) -> Iterator[None]:
    user = pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("dovecot")
    with contextlib.ExitStack() as stack:
        for number, (setup, (_, port)) in enumerate(setups.items()):
            folder = files.folder / f"dovecot{number}"
            folder.mkdir()
            first, *second = setup.keys
            text = _DOVECOT.format(
                folder=folder,
                parameters=files.folder / "dh.pem",
                user=user.pw_name,
                group=grp.getgrgid(user.pw_gid).gr_name,
                certificate=files.names[first][0],
                key=files.names[first][1],
                second="\n".join(
                    f"ssl_alt_cert = <{files.names[key][0]}\nssl_alt_key = <{files.names[key][1]}" for key in second
                ),
                oldest=_SUFFIX[setup.oldest],
                suites=":".join((*setup.suites, "@SECLEVEL=0")),
                curves=":".join(setup.curves),
                order="yes" if setup.server_order else "no",
                port=port,
            )
            (folder / "dovecot.conf").write_text(text)
            binary = shutil.which("dovecot") or "/usr/sbin/dovecot"
            stack.enter_context(_running([binary, "-F", "-c", folder / "dovecot.conf"], folder))
        yield


def _postgresql_binary(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise FileNotFoundError(f"{name} of PostgreSQL is missing; `make deps` installs it")
    return found[-1]


@contextlib.contextmanager
def _one_postgresql(setup: Setup, host: str, folder: Path, files: Files) -> Iterator[None]:
    certificate, key = files.names[setup.keys[0]]
    owner = _other_user()
    folder.mkdir()
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        for parent in (files.folder, *files.folder.parents):
            if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    options = {"user": owner.pw_name, "group": owner.pw_gid} if owner is not None else {}
    data = folder / "data"
    make = [_postgresql_binary("initdb"), "-D", data, "-A", "trust", "--no-sync", "-U", "tests"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **options)  # type: ignore[call-overload]
    for source, name in ((certificate, "server.crt"), (key, "server.key")):
        copied = Path(shutil.copy(source, data / name))
        copied.chmod(0o600)
        if owner is not None:
            os.chown(copied, owner.pw_uid, owner.pw_gid)
    settings = {
        "ssl": "on",
        "ssl_min_protocol_version": f"TLSv1{_SUFFIX[setup.oldest]}",
        "ssl_max_protocol_version": f"TLSv1{_SUFFIX[setup.newest]}",
        "ssl_ciphers": ":".join((*setup.suites, "@SECLEVEL=0")),
        "ssl_prefer_server_ciphers": "on" if setup.server_order else "off",
        "listen_addresses": host,
        "port": "5432",
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "1MB",
    }
    command: list[str | Path] = [_postgresql_binary("postgres"), "-D", data]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **options)  # type: ignore[call-overload]
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def _other_user() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as where the tests run as root; None where they do not."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else None
