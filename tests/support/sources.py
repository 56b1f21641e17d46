"""Sources of software for tests: a repository over real mutual TLS, served honestly or by one who means harm."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.agent.home import AgentState, Home
from plimsoll.agent.software.shelf import Shelf
from plimsoll.messages import METADATA, TARGETS, SoftwareNews
from plimsoll.net.files import byte_range
from plimsoll.testing.certificates import TestAuthority
from tests.support.homes import Desk


@dataclass
class Reply:
    """An answer. With `raw`, its bytes go out as they are, and nothing else."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[ssl.SSLSocket], None] | None = None


#: What a source does with a request: its path, its headers, and the honest answer. None: the connection ends.
Act = Callable[[str, Mapping[str, str], Reply], Reply | None]


def honest(path: str, headers: Mapping[str, str], reply: Reply) -> Reply:
    return reply


@dataclass
class Site:
    """An installation's authority, a repository, and one agent with a certificate."""

    folder: Path
    desk: Desk
    authority: TestAuthority = field(default_factory=TestAuthority)

    def __post_init__(self) -> None:
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        self.home = Home(self.folder / "agent")
        self.home.create()
        cert, key = self.authority.leaf("agent", "7").write(self.folder, "agent-7")
        self.home.save_identity(key.read_text(), cert.read_text(), self.authority.pem.decode())
        self.save_state()

    def save_state(self, *managers: int) -> None:
        state = AgentState(
            installation=self.authority.installation,
            computer="7",
            managers=[f"dsm://127.0.0.1:{port}/" for port in managers],
        )
        self.home.save_state(state)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.home.path)

    def pin(self) -> None:
        """Gives the agent what an activation gives."""
        services = self.desk.services
        news = SoftwareNews(trust=list(services.release_keys.chain()), root=services.software_metadata.root().decode())
        assert self.shelf.take(news) == []

    def use(self, *sources: Source) -> None:
        """The agent asks these in turn: relays, and managers after them."""
        relays = [f"127.0.0.1:{one.port}" for one in sources if one.role != "manager"]
        self.shelf.take(SoftwareNews(relays=relays, sources="x"))
        self.save_state(*(one.port for one in sources if one.role == "manager"))

    def file(self, path: str) -> bytes | None:
        """The repository's own answer."""
        services, name = self.desk.services, path.rpartition("/")[2]
        if path.startswith(f"{METADATA}/"):
            found = services.software_metadata.file(name)
        else:
            found = services.software.path_of(name) if path.startswith(f"{TARGETS}/") and len(name) == 64 else None
        return None if found is None else found.read_bytes()

    @contextlib.contextmanager
    def source(
        self, act: Act = honest, role: str = "relay", installation: str | None = None, certified: str = ""
    ) -> Iterator[Source]:
        """One that listens. `certified` is the role in its certificate, where that is another one."""
        cert, key = self.authority.leaf(certified or role, "9", installation=installation).write(
            self.folder, f"{role}-{threading.get_ident()}-{id(act)}"
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.folder / "ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(cert, key)
        made = Source(self, act, role, context)
        try:
            yield made
        finally:
            made.stop()


class Source:
    """A thread for each connection; requests in order; `asked` keeps what they were."""

    def __init__(self, site: Site, act: Act, role: str, context: ssl.SSLContext) -> None:
        self.role = role
        self.act = act
        self.asked: list[tuple[str, str]] = []
        self._site = site
        self._context = context
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def packages_asked(self) -> list[tuple[str, str]]:
        """The digest and range of each request for a package."""
        return [(path.rpartition("/")[2], part) for path, part in self.asked if path.startswith(f"{TARGETS}/")]

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listener.settimeout(0.2)
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._open.add(sock)
            self._start(lambda sock=sock: self._serve(sock))  # type: ignore[misc]

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        with (
            contextlib.suppress(OSError, ValueError),
            plain,
            self._context.wrap_socket(plain, server_side=True) as sock,
        ):
            self._open.add(sock)
            buffer = b""
            while not self._stopped.is_set():
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                if not self._answer(sock, head.decode()):
                    return

    def _answer(self, sock: ssl.SSLSocket, head: str) -> bool:
        first, *lines = head.split("\r\n")
        path = first.split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.asked.append((path, headers.get("range", "")))
        reply = self.act(path, headers, reply_of(self._site.file(path), headers))
        if reply is None:
            return False
        if reply.raw is not None:
            reply.raw(sock)
            return False
        fields = {"Content-Length": str(len(reply.body)), **reply.headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        sock.sendall(f"HTTP/1.1 {reply.status} X\r\n{text}\r\n".encode() + reply.body)
        return True


def reply_of(content: bytes | None, headers: Mapping[str, str]) -> Reply:
    """The honest answer for a file, or a part of it."""
    if content is None:
        return Reply(404, b"{}")
    part = byte_range(headers.get("range"), len(content))
    if part is None:
        return Reply(200, content)
    return Reply(206, content[slice(*part)], {"Content-Range": f"bytes {part[0]}-{part[1] - 1}/{len(content)}"})
