"""Captures the hellos of the clients on this machine into *.hello files beside this script.

    .venv/bin/python -m tests.vectors.capture [name ...]

Every client connects to a listener on loopback, which announces the segment size of an Ethernet, reads until the
hello is whole and refuses it. `newest`, `sni` and `error` are what the row below says, since they follow from the
command; `offered` and `ja4` are written as the codec reads them and want a second look when a file is new
(README.md says how). A client that is not installed is left out and named.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.hello import ClientHello, HelloError, peek_client_hello
from plimsoll.tls.ja4 import ja4
from tests.vectors import FOLDER

HOST = "manager.example"
ETHERNET_SEGMENT = 1460
CURL = f"curl -sk -o /dev/null --resolve {HOST}:PORT:127.0.0.1 https://{HOST}:PORT/"
OPENSSL = f"openssl s_client -connect 127.0.0.1:PORT -servername {HOST}"
WEAK = "-cipher ALL:@SECLEVEL=0"
JAVA = f"java {FOLDER / 'HelloClient.java'} PORT"
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --ignore-certificate-errors --user-data-dir=SCRATCH"
    f" --host-resolver-rules='MAP {HOST} 127.0.0.1' https://{HOST}:PORT/"
)
PYTHON = (
    'python3 -W ignore -c "import socket, ssl; c = ssl.create_default_context(); EXTRA;'
    f" c.wrap_socket(socket.create_connection(('127.0.0.1', PORT)), server_hostname='{HOST}')\""
)


@dataclass(frozen=True)
class Row:
    """One client: its name for the file, the command, and what must be read from its hello.

    Of a client that connects several times, the hello of that newest version is taken. An `error` stands for a
    newest version where the bytes are no hello that can be answered.
    """

    name: str
    command: str
    newest: str = ""
    sni: str = HOST
    error: str = ""
    version: str = ""


def _python(extra: str) -> str:
    return PYTHON.replace("EXTRA", extra)


ROWS = (
    Row("curl-default", CURL, "TLSv1.3"),
    Row("curl-no-name", "curl -sk -o /dev/null https://127.0.0.1:PORT/", "TLSv1.3", ""),
    Row("curl-tls1.0", f"{CURL} --tlsv1.0 --tls-max 1.0 --ciphers ALL:@SECLEVEL=0", "TLSv1"),
    Row("curl-tls1.1", f"{CURL} --tlsv1.0 --tls-max 1.1 --ciphers ALL:@SECLEVEL=0", "TLSv1.1"),
    Row("curl-tls1.2", f"{CURL} --tlsv1.2 --tls-max 1.2", "TLSv1.2"),
    Row("curl-tls1.0-to-1.3", f"{CURL} --tlsv1.0 --tls-max 1.3 --ciphers ALL:@SECLEVEL=0", "TLSv1.3"),
    Row("curl-tls1.3", f"{CURL} --tlsv1.3", "TLSv1.3"),
    Row("curl-plain-http", f"curl -s --resolve {HOST}:PORT:127.0.0.1 http://{HOST}:PORT/", error="plain-http"),
    Row("openssl-default", OPENSSL, "TLSv1.3"),
    Row("openssl-tls1.0", f"{OPENSSL} -tls1 {WEAK}", "TLSv1"),
    Row("openssl-tls1.1", f"{OPENSSL} -tls1_1 {WEAK}", "TLSv1.1"),
    Row("openssl-tls1.2", f"{OPENSSL} -tls1_2", "TLSv1.2"),
    Row("openssl-tls1.3", f"{OPENSSL} -tls1_3", "TLSv1.3"),
    Row("openssl-tls1.2-fallback", f"{OPENSSL} -tls1_2 -fallback_scsv", "TLSv1.2"),
    Row("python-default", _python("0"), "TLSv1.3"),
    Row("python-alpn", _python("c.set_alpn_protocols(['http/1.1'])"), "TLSv1.3"),
    Row(
        "python-tls1.0",
        _python("c.minimum_version = c.maximum_version = 0x301; c.set_ciphers('ALL:@SECLEVEL=0')"),
        "TLSv1",
    ),
    Row("chromium", CHROMIUM, "TLSv1.3"),
    Row("gnutls-default", f"gnutls-cli --insecure --sni-hostname {HOST} -p PORT 127.0.0.1", "TLSv1.3"),
    Row(
        "gnutls-tls1.0",
        f"gnutls-cli --insecure --sni-hostname {HOST} --priority NORMAL:-VERS-ALL:+VERS-TLS1.0 -p PORT 127.0.0.1",
        "TLSv1",
    ),
    Row("java-default", JAVA, "TLSv1.3", "", version="java --version"),
    Row("java-tls1.0", f"{JAVA} TLSv1", "TLSv1", "", version="java --version"),
    Row("java-sslv2-format", f"{JAVA} SSLv2Hello TLSv1", "TLSv1", "", version="java --version"),
    Row(
        "java-sslv2-format-tls1.2", f"{JAVA} SSLv2Hello TLSv1 TLSv1.1 TLSv1.2", "TLSv1.2", "", version="java --version"
    ),
    Row("nmap-ssl3", "nmap --script ssl-enum-ciphers -p PORT -Pn 127.0.0.1", "SSLv3", "", version="nmap --version"),
    Row("nmap-tls1.0", "nmap --script ssl-enum-ciphers -p PORT -Pn 127.0.0.1", "TLSv1", "", version="nmap --version"),
    Row("nmap-tls1.1", "nmap --script ssl-enum-ciphers -p PORT -Pn 127.0.0.1", "TLSv1.1", "", version="nmap --version"),
    Row("nmap-tls1.2", "nmap --script ssl-enum-ciphers -p PORT -Pn 127.0.0.1", "TLSv1.2", "", version="nmap --version"),
    Row("nmap-tls1.3", "nmap --script ssl-enum-ciphers -p PORT -Pn 127.0.0.1", "TLSv1.3", "", version="nmap --version"),
    Row("nmap-sslv2", "nmap --script +sslv2 -p PORT -Pn 127.0.0.1", error="ssl2-only", version="nmap --version"),
)


@dataclass
class Capture:
    """The pieces of one connection, and what the codec says of them."""

    pieces: list[bytes]
    result: ClientHello | HelloError | None

    @property
    def newest(self) -> str:
        return str(self.result.newest) if isinstance(self.result, ClientHello) else ""


class Listener:
    """Accepts connections on loopback and keeps what each sent until its hello was whole."""

    def __init__(self) -> None:
        self.captures: list[Capture] = []
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ETHERNET_SEGMENT)
        # Room for one segment makes the sender wait after each, so that each is seen by itself.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ETHERNET_SEGMENT)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(peer,), daemon=True).start()

    def _read(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(5)
            capture = Capture([], None)
            while capture.result is None:
                try:
                    piece = peer.recv(65536)
                except OSError:
                    break
                if not piece:
                    break
                capture.pieces.append(piece)
                try:
                    found = peek_client_hello(b"".join(capture.pieces))
                    capture.result = None if isinstance(found, int) else found
                except HelloError as error:
                    capture.result = error
            if capture.pieces:
                self.captures.append(capture)
                with contextlib.suppress(OSError):
                    peer.sendall(alert_record(Alert.PROTOCOL_VERSION))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def run(row: Row) -> Capture | None:
    """Run the row's client against a listener; the capture that fits the row, or None."""
    listener = Listener()
    with tempfile.TemporaryDirectory() as scratch:
        command = row.command.replace("PORT", str(listener.port)).replace("SCRATCH", scratch)
        client = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 60
        found = None
        while found is None and time.monotonic() < end:
            done = client.poll() is not None
            time.sleep(0.2)
            found = next((capture for capture in listener.captures if fits(row, capture)), None)
            if done:
                break
        client.terminate()
        client.wait(20)
        listener.close()
    if found is None:
        seen = [capture.newest or repr(capture.result) for capture in listener.captures]
        say(f"{row.name}: no fitting hello among {seen}")
    return found


def fits(row: Row, capture: Capture) -> bool:
    """True where the capture is what the row is for."""
    if isinstance(capture.result, HelloError):
        return capture.result.reason == row.error
    return not row.error and capture.newest == row.newest


def version_of(row: Row) -> str:
    """The first line with which the client names its version."""
    program = row.command.split()[0]
    ask = row.version or {"openssl": "openssl version", "python3": "python3 -VV"}.get(program, f"{program} --version")
    answer = subprocess.run(["sh", "-c", ask], capture_output=True, text=True, check=False, timeout=60)
    return next((line.strip() for line in answer.stdout.splitlines() if line.strip()), "unknown")


def save(row: Row, capture: Capture) -> None:
    """Write the row's file."""
    data = b"".join(capture.pieces)
    lines = [f"client: {row.command.split()[0]}", f"version: {version_of(row)}"]
    lines.append(f"command: {row.command.replace(f'{FOLDER}/', '')}")
    if isinstance(capture.result, ClientHello):
        hello = capture.result
        data = data[: hello.length]
        lines += [f"newest: {row.newest}", f"offered: {' '.join(map(str, hello.offered))}", f"sni: {row.sni}".strip()]
        lines += [f"ja4: {ja4(hello)}", f"sslv2-format: {'yes' if hello.sslv2_format else 'no'}"]
    else:
        lines.append(f"error: {row.error}")
    lines.append(f"segments: {' '.join(str(len(piece)) for piece in capture.pieces)}")
    text = data.hex()
    body = "\n".join(text[start : start + 96] for start in range(0, len(text), 96))
    (FOLDER / f"{row.name}.hello").write_text("\n".join(lines) + f"\n\n{body}\n", encoding="utf-8")
    say(f"{row.name}: {len(data)} bytes in {len(capture.pieces)} segment(s)")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Capture the named rows, or all. The exit code is the number of rows that gave nothing."""
    missing = 0
    for row in ROWS:
        if names and row.name not in names:
            continue
        capture = run(row) if shutil.which(row.command.split()[0]) else None
        if capture is None:
            missing += 1
            say(f"{row.name}: left out")
        else:
            save(row, capture)
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
