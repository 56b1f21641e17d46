"""Bundles into the repository, from wherever they come, and the capability table that one can bring (R3, R9)."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.releases import Publisher

from plimsoll.fleet import capabilities
from plimsoll.manager import config
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services import software_upstream
from plimsoll.messages import bundle
from plimsoll.tls.versions import Version

TABLE = (Path(capabilities.__file__).parent / "data" / "capabilities.toml").read_text()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / "home") as opened:
        yield opened
    capabilities.use(None)


@pytest.fixture
def publisher(at: Desk) -> Publisher:
    return Publisher().trusted_by(at.services)


def bundled(publisher: Publisher, folder: Path, *versions: str) -> bytes:
    paths = [publisher.write(folder, f"content {version}".encode() * 999, version=version) for version in versions]
    out = io.BytesIO()
    bundle.write(out, [(path, path.with_name(f"{path.name}.sig").read_text()) for path in paths], publisher.key)
    return out.getvalue()


def versions(at: Desk) -> list[str]:
    return [one.version for one in at.services.software.list(ROOT)]


def refusals(at: Desk) -> list[str]:
    return [one.description for one in at.services.events.list(ROOT) if one.number == 1971]


def setting(at: Desk, line: str) -> None:
    with at.home.config_path.open("a") as file:
        file.write(f"{line}\n")
    at.home.config = config.load(at.home.config_path)


@pytest.mark.rule("R9")
def test_a_bundle_brings_what_is_not_here_yet(at: Desk, publisher: Publisher, tmp_path: Path) -> None:
    publisher.import_into(at.services, b"content 12.1.0" * 999)
    data = bundled(publisher, tmp_path, "12.1.0", "12.2.0", "12.3.0")
    done = at.services.software_bundles.take(ROOT, io.BytesIO(data))
    assert [(one.package.version, one.new) for one in done] == [("12.1.0", False), ("12.2.0", True), ("12.3.0", True)]
    assert versions(at) == ["12.3.0", "12.2.0", "12.1.0"]


def test_what_breaks_in_the_middle_keeps_what_was_whole_and_says_so(
    at: Desk, publisher: Publisher, tmp_path: Path
) -> None:
    data = bundled(publisher, tmp_path, "12.1.0", "12.2.0")
    with pytest.raises(BadInput, match=r"cut off; of the bundle \S+12\.1\.0\S+ came in before that"):
        at.services.software_bundles.take(ROOT, io.BytesIO(data[: len(data) * 2 // 3]))
    assert versions(at) == ["12.1.0"]
    assert "cut off" in refusals(at)[0]
    place = data.rindex(b"content 12.2.0")
    altered = data[:place] + b"Content" + data[place + 7 :]
    with pytest.raises(BadInput, match="not the one that was signed"):
        at.services.software_bundles.take(ROOT, io.BytesIO(altered))
    assert versions(at) == ["12.1.0"]


def test_a_strangers_bundle_brings_nothing(at: Desk, publisher: Publisher, tmp_path: Path) -> None:
    data = bundled(Publisher(), tmp_path, "12.1.0")
    with pytest.raises(BadInput, match=r"not trusted here.*nothing was kept"):
        at.services.software_bundles.take(ROOT, io.BytesIO(data))
    assert versions(at) == []


@pytest.mark.rule("R9")
def test_a_bundle_in_the_watched_folder_comes_in(at: Desk, publisher: Publisher, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    setting(at, f"softwareFolder={folder}")
    (folder / "site.bundle").write_bytes(bundled(publisher, tmp_path / "made", "12.1.0", "12.2.0"))
    assert sum(at.services.software_folder.look() for _ in range(3)) == 2
    (folder / "other.bundle").write_bytes(b"no bundle")
    assert sum(at.services.software_folder.look() for _ in range(3)) == 0
    assert "no bundle" in refusals(at)[0] or "cut off" in refusals(at)[0]
    assert len(refusals(at)) == 1


class Upstream:
    """A web server with one file, which says by an ETag whether it changed."""

    def __init__(self) -> None:
        self.data = b""
        self.tag = '"1"'
        self.answers: list[int] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                same = self.headers.get("If-None-Match") == outer.tag
                status = 404 if not outer.data else 304 if same else 200
                outer.answers.append(status)
                self.send_response(status)
                if status == 200:
                    self.send_header("ETag", outer.tag)
                    self.send_header("Content-Length", str(len(outer.data)))
                self.end_headers()
                if status == 200:
                    self.wfile.write(outer.data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/plimsoll.bundle"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.mark.rule("R9")
def test_the_upstream_bundle_is_fetched_once_for_each_that_is_another(
    at: Desk, publisher: Publisher, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = at.services.software_upstream
    assert service.look() == 0, "there is no such setting"
    setting(at, f"softwareUpstream={upstream.url}")
    upstream.data = bundled(publisher, tmp_path, "12.1.0")
    assert service.tick()
    assert not service.tick(), "an hour has not passed"
    assert service.look() == 0
    assert upstream.answers == [200, 304]
    upstream.data, upstream.tag = bundled(publisher, tmp_path, "12.1.0", "12.2.0"), '"2"'
    assert service.look() == 1
    assert versions(at) == ["12.2.0", "12.1.0"]
    # A restart remembers.
    again = software_upstream.SoftwareUpstreamService(service._core, at.services.software_bundles)
    assert again.look() == 0
    assert upstream.answers == [200, 304, 200, 304]
    assert (at.home.path / "software" / software_upstream.STATE).stat().st_mode & 0o077 == 0


def test_trouble_on_the_way_is_told_once(
    at: Desk, publisher: Publisher, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = at.services.software_upstream
    setting(at, f"softwareUpstream={upstream.url}")
    assert [service.look() for _ in range(3)] == [0, 0, 0]
    (said,) = refusals(at)
    assert "answered with 404" in said
    upstream.data = bundled(Publisher(), tmp_path, "12.1.0")
    assert service.look() == 0
    assert "not trusted here" in refusals(at)[-1] + refusals(at)[0]
    setting(at, "softwareUpstream=file:///etc/passwd")
    assert service.look() == 0
    assert any("begins with https://" in one for one in refusals(at))


@pytest.mark.rule("R3")
def test_a_newer_capability_table_counts_until_it_is_deleted(at: Desk, publisher: Publisher) -> None:
    assert capabilities.capability("agent", "9.6").speaks_to is Version.TLS1_0
    rows = "\n".join(
        f'[[row]]\ncomponent = "{name}"\nfrom = "0.0"\nlowest = "TLSv1"\nhighest = "TLSv1.2"\nenforces = true\n'
        'source = "a test"\ndate = "2026-11-27"'
        for name in capabilities.COMPONENTS
    )
    said = {"product": "capabilities", "platform": "any", "architecture": "any", "file": "capabilities.toml"}
    made = publisher.import_into(at.services, rows.encode(), version="12.0.0-20261127", **said)
    assert capabilities.capability("agent", "9.6").speaks_to is Version.TLS1_2
    assert capabilities.capability("agent", "9.6").source == "a test"
    assert at.services.capability_table.in_force is not None
    old = publisher.import_into(at.services, TABLE.encode(), version="11.0.0", **said)
    assert capabilities.capability("agent", "9.6").source == "a test", "an older table than our own release"
    at.services.software.delete(ROOT, made.id)
    assert capabilities.capability("agent", "9.6").speaks_to is Version.TLS1_0
    at.services.software.delete(ROOT, old.id)


def test_what_is_no_capability_table_does_not_come_in(at: Desk, publisher: Publisher) -> None:
    said = {"product": "capabilities", "platform": "any", "architecture": "any", "file": "capabilities.toml"}
    for content, why in ((b"[[row]]\n", "is missing"), (b"\xff\xfe", "no capability table"), (b"x = ", "not TOML")):
        with pytest.raises(BadInput, match=why):
            publisher.import_into(at.services, content, version="12.0.1", **said)
    assert versions(at) == []
    assert capabilities.capability("agent", "9.6").speaks_to is Version.TLS1_0
