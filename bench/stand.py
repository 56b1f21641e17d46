"""What is measured: a real manager with activated computers, nginx with the same certificates, an idle agent.

Everything lives in one temporary folder and on loopback, and is gone afterwards.
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.machine import children, cores, pin, wait_for
from plimsoll.messages import CAPABILITY, FILES, HEARTBEAT, Heartbeat, Policy, fingerprint

HOST = "127.0.0.1"
PEERS = 16
BIN = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in found:
            sock.bind((HOST, 0))
        return [sock.getsockname()[1] for sock in found]


def nginx_binary() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(slots=True)
class Service:
    """A process that serves. `pid` is the one whose CPU is counted."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    pid: int

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


class Stand:
    """Use with ``with``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "manager"
        self.said: dict[str, Any] = {}
        self._services: list[Service] = []

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *_: object) -> None:
        for service in reversed(self._services):
            service.stop()

    # -- the manager and its fleet

    def manager(self) -> Service:
        """Initialise a home, run it, and activate the computers that will heartbeat."""
        gui, heartbeat = free_ports(2)
        ports = ("--gui-port", str(gui), "--heartbeat-port", str(heartbeat))
        self.said = json.loads(self._plimsoll("manager", "init", "--home", str(self.home), *ports, "--json"))
        service = self._serve("manager", [str(BIN / "plimsoll"), "manager", "run", "--home", str(self.home)], heartbeat)
        wait_for(lambda: b"ready" in (self.folder / "manager.out").read_bytes(), "the manager's start")
        target = ("--manager", f"dsm://{HOST}:{heartbeat}", "--token", str(self.said["activation_token"]))
        self._plimsoll(
            "simulate", *target, "--agents", str(PEERS), "--seconds", "4", "--interval", "1", "--start-over", "0.5",
            "--peers-home", str(self.folder / "peers"),
        )  # fmt: skip
        pin(service.pid, cores()[0])
        return service

    @property
    def ca(self) -> str:
        return str(self.said["ca_certificate"])

    def clients(self) -> list[dict[str, str]]:
        """The computers: folders with their certificates, and a heartbeat that brings nothing new."""
        found = []
        for number, held in enumerate(sorted((self.folder / "peers").glob("*/policy.json"))):
            policy = msgspec.json.decode(held.read_bytes(), type=Policy)
            beat = Heartbeat(
                capability=CAPABILITY,
                sequence=int(time.time()) + 1000 + number,
                time=time.time(),
                policy_fingerprint=fingerprint(policy),
                policy_generation=policy.generation,
            )
            found.append({"folder": str(held.parent), "body": msgspec.json.encode(beat).decode()})
        return found

    def task(self, kind: str, port: int, count: int) -> dict[str, Any]:
        return {
            "kind": kind, "port": port, "count": count, "ca": self.ca, "path": HEARTBEAT,
            "clients": self.clients(),
        }  # fmt: skip

    def set_floor(self, floor: str) -> None:
        """As `plimsoll floor set` does, without the start of a process: by the manager's own socket."""
        body = json.dumps({"point": "heartbeat", "floor": floor, "force": True, "reason": "benchmark"})
        connection = _LocalConnection(str(self.home / "run" / "manager.sock"))
        connection.request("POST", "/api/tls/floors", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the floor was not set: {answer.status} {said!r}")

    # -- the peer

    def nginx(self, protocols: str = "TLSv1.2 TLSv1.3", ciphers: str = "", files: Path | None = None) -> Service:
        """nginx with the manager's certificates, a demanded client certificate, one worker and no log.

        It answers everything with 200, or hands out the folder `files` as a relay does.
        """
        binary = nginx_binary()
        if binary is None:
            raise RuntimeError("nginx is missing; `make deps` installs it")
        (port,) = free_ports(1)
        folder = self.folder / f"nginx-{port}"
        folder.mkdir()
        self.nginx_configuration(port, protocols, ciphers, files)
        command = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        service = self._serve(f"nginx-{port}", command, port)
        wait_for(lambda: listens(port) and bool(children(service.process.pid)), "nginx's start")
        service.pid = children(service.process.pid)[0]
        pin(service.pid, cores()[0])
        return service

    def nginx_configuration(self, port: int, protocols: str, ciphers: str, files: Path | None = None) -> None:
        folder = self.folder / f"nginx-{port}"
        pairs = "".join(
            f"ssl_certificate {self.home}/tls/heartbeat-{kind}.pem; "
            f"ssl_certificate_key {self.home}/tls/heartbeat-{kind}.key;\n"
            for kind in ("ecdsa", "rsa")
        )
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid;\n"
            # It begins as root and would then be somebody who may not read this folder.
            f"user {getpass.getuser()};\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; keepalive_requests 1000000;\n{temporary}"
            f"server {{ listen {HOST}:{port} ssl;\n{pairs}"
            f"ssl_client_certificate {self.ca}; ssl_verify_client on; ssl_verify_depth 2;\n"
            f"ssl_protocols {protocols}; {ciphers}\n"
            + (f"location {FILES}/ {{ alias {files}/; }} }} }}\n" if files else "return 200 'ok'; } }\n")
        )

    # -- an agent

    def agent(self) -> Service:
        """A real agent that has nothing to do."""
        return self._agent("agent", [str(BIN / "plimsoll"), "agent"], "--listen", HOST)

    def packaged_agent(self, archive: Path) -> Service:
        """The same out of a package, with the interpreter in it, as its launcher starts it."""
        tree = self.folder / "package"
        tree.mkdir()
        subprocess.run(["tar", "-xzf", archive, "-C", tree, "--strip-components=1"], check=True)
        python = [str(tree / "bin" / "python3"), "-P", "-m"]
        run = [*python, "plimsoll.agent", str(self.folder / "packaged")]
        return self._agent("packaged", [*python, "plimsoll.cli.plimsoll_agent"], "--listen", HOST, run=run)

    def relay(self) -> tuple[Service, Path]:
        """A real relay, and the folder that it hands out."""
        (port,) = free_ports(1)
        service = self._agent("relay", [str(BIN / "plimsoll"), "agent"], "--relay", "--relay-port", str(port))
        service.port = port
        pin(service.pid, cores()[0])
        files = self.folder / "relay" / "relay" / "files"
        files.mkdir(parents=True, exist_ok=True)
        return service, files

    def _agent(self, name: str, command: list[str], *more: str, run: list[str] | None = None) -> Service:
        """Activated and ready. `run` starts it, where that is not the same command."""
        home = str(self.folder / name)
        (port,) = free_ports(1)
        activate = [
            *command, "activate", "--home", home, "--manager", f"dsm://{HOST}:{self._services[0].port}",
            "--token", str(self.said["activation_token"]), "--name", name, "--listen-port", str(port), *more,
        ]  # fmt: skip
        done = subprocess.run(activate, capture_output=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{name} was not activated: {done.stderr.decode()[-400:]}")
        service = self._serve(name, run or [*command, "run", "--home", home], port)
        wait_for(lambda: b"ready" in (self.folder / f"{name}.out").read_bytes(), f"the start of {name}")
        return service

    # -- processes

    def _plimsoll(self, *arguments: str) -> str:
        done = subprocess.run([str(BIN / "plimsoll"), *arguments], capture_output=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"plimsoll {' '.join(arguments[:2])} failed: {done.stderr.decode()[-400:]}")
        return done.stdout.decode()

    def _serve(self, name: str, command: list[str], port: int) -> Service:
        with (self.folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self._services.append(Service(name, process, port, process.pid))
        return self._services[-1]


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a local socket."""

    def __init__(self, path: str) -> None:
        super().__init__("manager")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 0.5).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def loading(task: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """The client process, warmed up and waiting for a line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "warm\n":
            raise RuntimeError(f"the {task['kind']} client failed")
        yield process


def go(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the client run and return what it says. Every answer was right, or this raises."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the client failed; see its message above")
    said: dict[str, Any] = json.loads(line)
    return said
