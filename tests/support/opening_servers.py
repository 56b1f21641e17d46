"""Real servers of the protocols in which TLS is asked for: Debian's, on loopback, each with a configuration of its own.

They run as an ordinary user, but for Postfix: its master insists on root, so it is there only where the tests are.
PostgreSQL is among the servers of `tls_servers`.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import free_ports

NAME = "target.test"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Place:
    """A server, the opening that it wants, and where it listens. Each takes TLS 1.2 and 1.3 and nothing older."""

    server: str
    opening: str
    port: int

    def __str__(self) -> str:
        return f"{self.server} {self.opening}"


@dataclass(slots=True)
class _Yard:
    """A folder for one server, and the user that it runs as."""

    folder: Path
    user: pwd.struct_passwd
    certificate: Path
    key: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        self.own(path)
        return path

    def make(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        os.chown(path, self.user.pw_uid, self.user.pw_gid)

    @contextlib.contextmanager
    def running(self, *command: str | Path, root: bool = False) -> Iterator[None]:
        """Run it in a process group of its own, which is ended as a whole."""
        as_user = os.getuid() == 0 and not root
        binary = shutil.which(str(command[0]), path=f"{os.environ.get('PATH', '')}:{_PATH}")
        if binary is None:
            raise FileNotFoundError(f"{command[0]} is missing; `make deps` installs it")
        with (self.folder / "output").open("wb") as log:
            process = subprocess.Popen(
                [binary, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                user=self.user.pw_uid if as_user else None,
                group=self.user.pw_gid if as_user else None,
                extra_groups=[] if as_user else None,
            )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def real_servers() -> Iterator[list[Place]]:
    """Start them all, wait until each answers, and stop them at the end."""
    starters = [_dovecot, _mariadb, _slapd, _vsftpd, _prosody, _xrdp, *([_postfix] if os.getuid() == 0 else [])]
    with tempfile.TemporaryDirectory(prefix="plimsoll-servers-") as name, contextlib.ExitStack() as stack:
        base = Path(name)
        base.chmod(0o755)
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        certificate, key = self_signed(base)
        places: list[Place] = []
        for start in starters:
            yard = _Yard(base / start.__name__.strip("_"), user, certificate, key)
            yard.folder.mkdir(mode=0o755)
            yard.own(yard.folder)
            places += stack.enter_context(start(yard))
        for place in places:
            _wait(place, base)
        yield places


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for `NAME`, and its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "30"]
    command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o644)  # a key for tests, read by servers of several users
    return certificate, key


def _wait(place: Place, base: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", place.port), 2).close()
            return
        except OSError:
            if time.monotonic() > end:
                told = [path.read_text(errors="replace") for path in [*base.glob("*/output"), *base.glob("*/log")]]
                raise AssertionError(f"{place} does not answer: {told}") from None
            time.sleep(0.02)


_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = {protocols}
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
mail_location = maildir:{folder}/mail
hostname = {name}
submission_relay_host = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
passdb {{
  driver = static
  args = nopassword=y
}}
service anvil {{
  chroot =
}}
"""
_DOVECOT_SERVICE = """\
service {service} {{
  {own}
  inet_listener {listener} {{
    address = 127.0.0.1
    port = {port}
  }}
  {off}
}}
"""
#: Protocol, service, listener, the listener that speaks TLS at once, our opening.
_DOVECOT_SERVICES = (
    ("imap", "imap-login", "imap", "imaps", "imap"),
    ("pop3", "pop3-login", "pop3", "pop3s", "pop3"),
    ("submission", "submission-login", "submission", "submissions", "smtp"),
    ("sieve", "managesieve-login", "sieve", "", "sieve"),
    ("lmtp", "lmtp", "lmtp", "", "lmtp"),
)


@contextlib.contextmanager
def _dovecot(yard: _Yard) -> Iterator[list[Place]]:
    text = _DOVECOT.format(
        folder=yard.folder,
        protocols=" ".join(protocol for protocol, *_ in _DOVECOT_SERVICES),
        user=yard.user.pw_name,
        group=grp.getgrgid(yard.user.pw_gid).gr_name,
        name=NAME,
        certificate=yard.certificate,
        key=yard.key,
    )
    places = []
    for (_, service, listener, other, opening), port in zip(
        _DOVECOT_SERVICES, free_ports(len(_DOVECOT_SERVICES)), strict=True
    ):
        text += _DOVECOT_SERVICE.format(
            service=service,
            listener=listener,
            port=port,
            own="chroot =\n  service_count = 0" if service != "lmtp" else f"user = {yard.user.pw_name}",
            off=f"inet_listener {other} {{\n    port = 0\n  }}" if other else "",
        )
        places.append(Place("dovecot", opening, port))
    with yard.running("dovecot", "-F", "-c", yard.write("dovecot.conf", text)):
        yield places


_MARIADB = """\
[mariadbd]
datadir={folder}/data
socket={folder}/socket
pid-file={folder}/pid
bind-address=127.0.0.1
port={port}
ssl-cert={certificate}
ssl-key={key}
tls-version=TLSv1.2,TLSv1.3
skip-grant-tables
skip-networking=0
innodb=OFF
default-storage-engine=MyISAM
aria-log-file-size=8M
performance-schema=OFF
skip-name-resolve
"""


@contextlib.contextmanager
def _mariadb(yard: _Yard) -> Iterator[list[Place]]:
    """Without tables, not even its own: it greets and speaks TLS all the same."""
    (port,) = free_ports(1)
    yard.make("data")
    text = _MARIADB.format(folder=yard.folder, port=port, certificate=yard.certificate, key=yard.key)
    with yard.running("mariadbd", f"--defaults-file={yard.write('mariadb.cnf', text)}"):
        yield [Place("mariadb", "mysql", port)]


@contextlib.contextmanager
def _slapd(yard: _Yard) -> Iterator[list[Place]]:
    (port,) = free_ports(1)
    text = (
        "include /etc/ldap/schema/core.schema\n"
        f"TLSCertificateFile {yard.certificate}\nTLSCertificateKeyFile {yard.key}\n"
        "TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3\n"
    )
    conf = yard.write("slapd.conf", text)
    with yard.running("slapd", "-d", "0", "-f", conf, "-h", f"ldap://127.0.0.1:{port}/"):
        yield [Place("slapd", "ldap", port)]


_VSFTPD = """\
listen=YES
background=NO
run_as_launching_user=YES
listen_address=127.0.0.1
listen_port={port}
ssl_enable=YES
ssl_ciphers=DEFAULT
rsa_cert_file={certificate}
rsa_private_key_file={key}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
one_process_model=YES
anonymous_enable=YES
local_enable=NO
"""


@contextlib.contextmanager
def _vsftpd(yard: _Yard) -> Iterator[list[Place]]:
    (port,) = free_ports(1)
    text = _VSFTPD.format(port=port, certificate=yard.certificate, key=yard.key)
    with yard.running("vsftpd", yard.write("vsftpd.conf", text)):
        yield [Place("vsftpd", "ftp", port)]


_PROSODY = """\
daemonize = false
pidfile = "{folder}/pid"
data_path = "{folder}"
log = {{ warn = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {client} }}
s2s_ports = {{ {server} }}
c2s_direct_tls_ports = {{}}
s2s_direct_tls_ports = {{}}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{ "tls", "saslauth", "dialback" }}
c2s_require_encryption = true
ssl = {{ key = "{key}", certificate = "{certificate}", protocol = "tlsv1_2+" }}
VirtualHost "{name}"
"""


@contextlib.contextmanager
def _prosody(yard: _Yard) -> Iterator[list[Place]]:
    client, server = free_ports(2)
    text = _PROSODY.format(
        folder=yard.folder, client=client, server=server, key=yard.key, certificate=yard.certificate, name=NAME
    )
    with yard.running("prosody", "-F", "--config", yard.write("prosody.cfg.lua", text)):
        yield [Place("prosody", "xmpp", client), Place("prosody", "xmpp-server", server)]


_XRDP = """\
[Globals]
ini_version=1
fork=true
port=tcp://127.0.0.1:{port}
security_layer=negotiate
certificate={certificate}
key_file={key}
ssl_protocols=TLSv1.2, TLSv1.3
[Logging]
LogFile={folder}/xrdp.log
LogLevel=WARNING
EnableSyslog=false
[Xorg]
name=Xorg
lib=libxup.so
"""


@contextlib.contextmanager
def _xrdp(yard: _Yard) -> Iterator[list[Place]]:
    (port,) = free_ports(1)
    text = _XRDP.format(port=port, certificate=yard.certificate, key=yard.key, folder=yard.folder)
    with yard.running("xrdp", "--nodaemon", "--config", yard.write("xrdp.ini", text)):
        yield [Place("xrdp", "rdp", port)]


_POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/output
maillog_file_prefixes = {folder}
myhostname = {name}
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_protocols = >=TLSv1.2
smtpd_client_connection_rate_limit = 0
"""
_POSTFIX_SERVICES = """\
127.0.0.1:{port} inet n - n - 4 smtpd
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
rewrite unix - - n - 1 trivial-rewrite
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def _postfix(yard: _Yard) -> Iterator[list[Place]]:
    (port,) = free_ports(1)
    conf = yard.make("conf")
    os.chown(yard.folder, 0, 0)
    os.chown(conf, 0, 0)
    shutil.chown(yard.make("data"), "postfix")
    os.chown(yard.make("queue"), 0, 0)
    text = _POSTFIX.format(folder=yard.folder, name=NAME, certificate=yard.certificate, key=yard.key)
    (conf / "main.cf").write_text(text)
    (conf / "master.cf").write_text(_POSTFIX_SERVICES.format(port=port))
    postfix = shutil.which("postfix", path=_PATH)
    if postfix is None:
        raise FileNotFoundError("postfix is missing; `make deps` installs it")
    subprocess.run([postfix, "-c", conf, "check"], check=True, capture_output=True)
    with yard.running("/usr/lib/postfix/sbin/master", "-c", conf, "-s", root=True):
        yield [Place("postfix", "smtp", port)]
