"""The client of the benchmark, the same for us and for the peer: a process of its own on cores of its own.

It reads one JSON task from standard input and prints one JSON result. Kinds: `full` (a handshake with a client
certificate, one request, close), `resumed` (the same with the session of an earlier connection), `kept` (requests on
open connections), `refused` (the bytes of a TLS 1.0 hello until the server's end) and `download` (whole files, by
`at_once` clients at the same time).
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import cores, pin
from plimsoll.messages import FILES

HOST = "127.0.0.1"


@dataclass(slots=True)
class Client:
    """One computer of the fleet."""

    context: ssl.SSLContext
    request: bytes
    session: ssl.SSLSession | None = None
    sock: ssl.SSLSocket | None = None

    def open(self, port: int) -> ssl.SSLSocket:
        plain = socket.create_connection((HOST, port), 10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, session=self.session)

    def ask(self, sock: ssl.SSLSocket) -> None:
        sock.sendall(self.request)
        answer = sock.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the answer was {answer[:60]!r}")


def load_client(folder: Path, ca: str, path: str, body: str) -> Client:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return Client(context, (head + body).encode())


def old_hello() -> bytes:
    """The hello of a client that speaks TLS 1.0 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise RuntimeError("a handshake without a peer ended")


def full(clients: list[Client], port: int, number: int) -> None:
    client = clients[number % len(clients)]
    with client.open(port) as sock:
        client.ask(sock)


def resumed(clients: list[Client], port: int, number: int) -> None:
    client = clients[number % len(clients)]
    first = client.session is None
    with client.open(port) as sock:
        client.ask(sock)
        if not first and not sock.session_reused:
            raise RuntimeError("the session was not resumed")
        client.session = sock.session


def kept(clients: list[Client], port: int, number: int) -> None:
    client = clients[number % len(clients)]
    if client.sock is None:
        client.sock = client.open(port)
    client.ask(client.sock)


def refused(hello: bytes, port: int) -> None:
    with socket.create_connection((HOST, port), 10) as sock:
        sock.sendall(hello)
        answer = sock.recv(100)
        if answer[-1:] != b"\x46" or sock.recv(1):
            raise RuntimeError(f"no alert 70 and end, but {answer!r}")


def download(client: Client, port: int, path: str, size: int) -> list[str]:
    """The whole file, over a connection of its own. What was negotiated."""
    buffer = bytearray(256 * 1024)
    with client.open(port) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = b""
        while (end := head.find(b"\r\n\r\n")) < 0:
            data = sock.recv(4096)
            if not data:
                raise RuntimeError("the connection ended before the answer's head")
            head += data
        if not head.startswith(b"HTTP/1.1 200") or f"content-length: {size}" not in head[:end].decode().lower():
            raise RuntimeError(f"the answer was {head[:200]!r}")
        left = size - (len(head) - end - 4)
        while left:
            had = sock.recv_into(buffer)
            if not had:
                raise RuntimeError(f"the file ended with {left} bytes to go")
            left -= had
        cipher = sock.cipher()
        return [sock.version() or "", cipher[0] if cipher else ""]


def downloads(task: dict[str, Any], clients: list[Client], negotiated: set[str]) -> Callable[[int], None]:
    def step(number: int) -> None:
        path = f"{FILES}/{task['name']}"
        with ThreadPoolExecutor(task["at_once"]) as pool:
            started = [
                pool.submit(download, clients[(number + at) % len(clients)], task["port"], path, task["size"])
                for at in range(task["at_once"])
            ]
            negotiated.update(" ".join(one.result()) for one in started)

    return step


def step_of(task: dict[str, Any], negotiated: set[str]) -> tuple[Callable[[int], None], int]:
    """What to do per count, and how many of them come first, unmeasured."""
    port = task["port"]
    if task["kind"] == "refused":
        hello = old_hello()
        return lambda number: refused(hello, port), 20
    clients = [load_client(Path(peer["folder"]), task["ca"], task["path"], peer["body"]) for peer in task["clients"]]
    if task["kind"] == "download":
        return downloads(task, clients, negotiated), 0
    kind = {"full": full, "resumed": resumed, "kept": kept}[task["kind"]]
    # A session and a kept connection per client are made first: they are what the figure does not count.
    return lambda number: kind(clients, port, number), len(clients)


def main() -> None:
    task = json.loads(sys.stdin.readline())
    pin(os.getpid(), cores()[1])
    negotiated: set[str] = set()
    step, before = step_of(task, negotiated)
    for number in range(before):
        step(number)
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start = time.perf_counter()
    for number in range(task["count"]):
        step(number)
    said = {"seconds": time.perf_counter() - start, "negotiated": sorted(negotiated)}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
