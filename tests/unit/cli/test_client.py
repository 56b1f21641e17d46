"""The three doors to a manager, and what its refusals become."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.fake import FakeManager

from plimsoll.cli import _client
from plimsoll.cli._errors import BlockedError, Code, CommandError
from plimsoll.manager import app as manager_app


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def address_string(self) -> str:
        return "socket"


@contextlib.contextmanager
def serving(path: Path) -> Iterator[None]:
    """A manager's socket with something behind it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(path), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "configuration.properties").write_text("serviceName=Plimsoll\n")
    return tmp_path


def test_a_running_manager_is_reached_by_its_socket(home: Path) -> None:
    with serving(home / "run" / "manager.sock"), _client.local(home) as client:
        assert client.get("/api/computers", limit=3, kind=None) == {"path": "/api/computers?limit=3"}


def test_a_stopped_home_is_served_in_process_and_let_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []

    @contextlib.contextmanager
    def in_process(directory: Path) -> Iterator[FakeManager]:
        held.append(f"took {directory.name}")
        yield FakeManager({("GET", "/x"): (200, {"stopped": True})})
        held.append("let go")

    monkeypatch.setattr(manager_app, "in_process", in_process)
    with _client.local(home) as client:
        assert client.get("/x") == {"stopped": True}
    assert held == [f"took {home.name}", "let go"]


def test_a_socket_that_a_killed_manager_left_behind_means_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "run" / "manager.sock"
    with serving(path):
        pass
    assert path.exists()
    monkeypatch.setattr(
        manager_app, "in_process", lambda _: contextlib.nullcontext(FakeManager({("GET", "/x"): (200, {})}))
    )
    with _client.local(home) as client:
        assert client.get("/x") == {}


def test_a_home_that_cannot_be_opened_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Any:
        raise RuntimeError("the manager with pid 12 holds it")

    monkeypatch.setattr(manager_app, "in_process", refuse)
    with pytest.raises(CommandError, match="pid 12 holds it") as caught:
        _client.local(home)
    assert caught.value.code is Code.UNREACHABLE


def test_no_home_names_the_ways_to_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="PLIMSOLL_HOME") as caught:
        _client.connect(None, {"PLIMSOLL_HOME": str(tmp_path / "none")})
    assert caught.value.code is Code.UNREACHABLE


def test_the_option_wins_over_the_address_of_another_manager(home: Path) -> None:
    with (
        serving(home / "run" / "manager.sock"),
        _client.connect(home, {"PLIMSOLL_URL": "https://elsewhere:4119"}) as client,
    ):
        assert "elsewhere" not in client.where


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"PLIMSOLL_URL": "https://h:1"}, "PLIMSOLL_API_KEY"),
        ({"PLIMSOLL_URL": "http://h:1", "PLIMSOLL_API_KEY": "1:x"}, "https://"),
        ({"PLIMSOLL_URL": "https://h:1", "PLIMSOLL_API_KEY": "1:x", "PLIMSOLL_CA": "/nowhere.pem"}, "PLIMSOLL_CA"),
    ],
)
def test_a_half_described_remote_manager_is_bad_input(env: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        _client.connect(None, env)
    assert caught.value.code is Code.USAGE


def test_a_manager_that_does_not_answer_is_unreachable() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        with (
            _client.connect(None, {"PLIMSOLL_URL": url, "PLIMSOLL_API_KEY": "1:x"}) as client,
            pytest.raises(CommandError, match="was not reached") as caught,
        ):
            client.get("/x")
    assert caught.value.code is Code.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 6), (403, 6), (404, 2), (409, 1), (422, 2), (500, 1), (503, 7)],
)
def test_each_refusal_has_its_exit_code(status: int, code: int) -> None:
    fake = FakeManager({("POST", "/x"): (status, {"message": "because"})})
    with _client.in_process(fake, "the manager") as client, pytest.raises(CommandError, match="because") as caught:
        client.post("/x")
    assert caught.value.code == code


def test_blockers_keep_the_whole_answer() -> None:
    fake = FakeManager({("POST", "/x"): (409, {"message": "no", "blockers": [{"who": "a"}], "affected": []})})
    with _client.in_process(fake, "the manager") as client, pytest.raises(BlockedError) as caught:
        client.post("/x")
    assert caught.value.code == Code.BLOCKERS
    assert caught.value.details["blockers"] == [{"who": "a"}]


def test_an_answer_that_is_not_json_is_named_as_such() -> None:
    with (
        _client.in_process(FakeManager({("GET", "/x"): (200, "<html>")}), "https://proxy") as client,
        pytest.raises(CommandError, match="did not answer with JSON"),
    ):
        client.get("/x")


def test_an_empty_answer_is_an_empty_object() -> None:
    with _client.in_process(FakeManager({("DELETE", "/x"): (204, "")}), "the manager") as client:
        assert client.delete("/x") == {}


def test_lines_of_a_stream_and_its_refusal() -> None:
    fake = FakeManager({("GET", "/x"): (200, "a\nb\n"), ("GET", "/no"): (403, {"message": "not you"})})
    with _client.in_process(fake, "the manager") as client:
        assert list(client.lines("/x")) == ["a", "b"]
        with pytest.raises(CommandError, match="not you"):
            list(client.lines("/no"))
