"""`--format nmap` and `nmap-xml` beside nmap 7.93 itself, on the same servers: the same words, letter for letter (R18).

The servers are chosen for what nmap says of them: weak ciphers, weak keys and signatures, keys stronger than the
exchange, anonymous exchange, one suite only, no order, TLS 1.3 with each kind of group.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from libnmap.parser import NmapParser
from tests.support.process import free_ports

from plimsoll.scan.engine import scan_many
from plimsoll.scan.options import Options
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.scan.reports import Writer
from plimsoll.scan.reports.nmap_text import NmapTextWriter
from plimsoll.scan.reports.nmap_xml import NmapXmlWriter

#: Kind of key, hash of the signature.
KEYS: Final = {
    "rsa": (["rsa:2048"], "-sha256"),
    "rsa4096": (["rsa:4096"], "-sha384"),
    "rsa1024": (["rsa:1024"], "-sha1"),
    "p256": (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha256"),
    "p384": (["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "-sha384"),
    "p256sha1": (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha1"),
    "ed25519": (["ed25519"], ""),
}

_OLD: Final = "AES128-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA:@SECLEVEL=0"
_GNUTLS: Final = "NORMAL:-CIPHER-ALL:-VERS-ALL:"
_GNUTLS_WEAK: Final = (
    f"{_GNUTLS}+VERS-TLS1.0:+VERS-TLS1.2:+3DES-CBC:+ARCFOUR-128:+AES-128-CBC:+SHA1:+MD5:+RSA:+DHE-RSA:+ECDHE-RSA:"
    "%SERVER_PRECEDENCE"
)

#: By name: the key, and what comes after the key's own options.
SERVERS: Final[dict[str, tuple[str, list[str]]]] = {
    "openssl early tls": ("rsa", ["-cipher", _OLD, "-serverpref", "-no_tls1_3"]),
    "openssl client's order": ("rsa", ["-cipher", _OLD, "-no_tls1_3", "-no_tls1"]),
    "openssl strong key": ("rsa4096", ["-cipher", "ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA256", "-serverpref"]),
    "openssl weak key": ("rsa1024", ["-cipher", "ECDHE-RSA-AES128-SHA:AES256-SHA:@SECLEVEL=0", "-tls1_2"]),
    "openssl p384": ("p384", ["-cipher", "ECDHE+AESGCM", "-groups", "P-256:X25519", "-serverpref"]),
    "openssl sha1": ("p256sha1", ["-cipher", "ECDHE+AESGCM:@SECLEVEL=0", "-serverpref"]),
    "openssl ed25519": ("ed25519", ["-cipher", "ECDHE+CHACHA20", "-tls1_2"]),
    "openssl anonymous": ("rsa", ["-cipher", "aNULL:NULL-SHA256:@SECLEVEL=0", "-tls1_2", "-serverpref"]),
    "openssl one suite": ("p256", ["-ciphersuites", "TLS_AES_128_GCM_SHA256", "-tls1_3"]),
    "openssl 1.3 ffdhe": ("p256", ["-tls1_3", "-groups", "ffdhe2048", "-serverpref"]),
    "openssl 1.3 p521": ("p256", ["-tls1_3", "-groups", "P-521"]),
    "openssl ccm8": ("rsa", ["-cipher", "AES128-CCM8:AES256-CCM:CAMELLIA256-SHA256", "-tls1_2", "-serverpref"]),
    "gnutls 3des and rc4": ("rsa", [_GNUTLS_WEAK]),
    "gnutls static only": ("rsa", [f"{_GNUTLS}+VERS-TLS1.1:+AES-256-CBC:+CAMELLIA-128-CBC:+SHA1:+RSA"]),
}

#: Where nmap 7.93 misses a version, and openssl is asked who is right. Its hello for TLS 1.3 lacks the signature scheme
#: ecdsa_secp384r1_sha384, and that for TLS 1.2 writes Ed25519 as a pair of hash and kind (4, 7) that nobody knows: a
#: server with only such a certificate has nothing to sign with, and refuses.
MISSED: Final = {"openssl p384": ("TLSv1.3", "-tls1_3"), "openssl ed25519": ("TLSv1.2", "-tls1_2")}


@dataclass(slots=True)
class Both:
    """What nmap and we say, in both forms."""

    their_text: str
    their_xml: str
    our_text: str
    our_xml: str
    ports: dict[str, int]

    def blocks(self, name: str) -> tuple[list[str], list[str]]:
        """Theirs and ours: the lines of that server's port, without the line of the port itself (its columns are as
        wide as the widest of nmap's ports)."""
        port = self.ports[name]
        return _block(self.their_text, port), _block(self.our_text, port)


def _block(text: str, port: int) -> list[str]:
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"{port}/tcp "):
            break
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append(line)
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("nmap-form")
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    _make_keys(folder)
    with contextlib.ExitStack() as stack:
        for name, (key, options) in SERVERS.items():
            stack.enter_context(_serving(_command(folder, name, key, options, ports[name])))
        time.sleep(0.5)
        listed = ",".join(map(str, ports.values()))
        command = ["nmap", "-Pn", "-n", "-p", listed, "--script", "+ssl-enum-ciphers", "-oX", str(folder / "nmap.xml")]
        done = subprocess.run([*command, "127.0.0.1"], capture_output=True, text=True, check=True, timeout=120)
        reports: list[EndpointReport] = []
        scan_many([Target("127.0.0.1", port) for port in ports.values()], Options(), reports.append)
        yield Both(
            done.stdout,
            (folder / "nmap.xml").read_text(),
            _written(NmapTextWriter, reports),
            _written(NmapXmlWriter, reports),
            ports,
        )


def _make_keys(folder: Path) -> None:
    for name, (kind, signature) in KEYS.items():
        command = ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={name}"]
        command += [signature] if signature else []
        command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run(command, check=True, capture_output=True)


def _command(folder: Path, name: str, key: str, options: list[str], port: int) -> list[str]:
    pair = [str(folder / f"{key}.pem"), str(folder / f"{key}.key")]
    if name.startswith("openssl"):
        return [
            "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-www", "-cert", pair[0], "-key", pair[1],
            *options,
        ]  # fmt: skip
    return [
        "gnutls-serv", "--quiet", "--http", "-p", str(port), "--x509certfile", pair[0], "--x509keyfile", pair[1],
        "--priority", *options,
    ]  # fmt: skip


@contextlib.contextmanager
def _serving(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def _written(make: type[NmapTextWriter] | type[NmapXmlWriter], reports: list[EndpointReport]) -> str:
    out = io.StringIO()
    writer: Writer = make(out)
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()
    return out.getvalue()


@pytest.mark.rule("R18")
@pytest.mark.parametrize("name", [name for name in SERVERS if name not in MISSED])
def test_the_same_text_letter_for_letter(both: Both, name: str) -> None:
    theirs, ours = both.blocks(name)
    assert theirs, "nmap says nothing of this server"
    assert ours == theirs


@pytest.mark.rule("R18")
def test_both_xml_documents_parse_to_the_same_content(both: Both) -> None:
    """By python-libnmap, which knows nothing of us."""
    theirs, ours = content(both.their_xml), content(both.our_xml)
    assert set(theirs) == set(ours) == set(both.ports.values())
    for name in MISSED:
        del theirs[both.ports[name]], ours[both.ports[name]]
    assert ours == theirs


@pytest.mark.rule("R18")
@pytest.mark.parametrize(("name", "version", "option"), [(name, *rest) for name, rest in MISSED.items()])
def test_where_nmap_misses_a_version_openssl_says_that_it_is_there(
    both: Both, name: str, version: str, option: str
) -> None:
    theirs, ours = both.blocks(name)
    assert f"|   {version}: " not in theirs
    assert f"|   {version}: " in ours
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{both.ports[name]}", option]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20)
    assert f"New, {version}, Cipher is" in done.stdout


def content(text: str) -> dict[int, dict[str, Any]]:
    """State and script results by port."""
    found: dict[int, dict[str, Any]] = {}
    for host in NmapParser.parse_fromstring(text).hosts:
        assert host.address == "127.0.0.1"
        assert host.is_up()
        for service in host.services:
            scripts = {one["id"]: (one["elements"], one["output"]) for one in service.scripts_results}
            found[service.port] = {"state": service.state, "protocol": service.protocol, "scripts": scripts}
    return found
