"""The relay's port as its callers see it: real handshakes, real requests."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from plimsoll.agent.home import Home
from plimsoll.agent.threads import in_thread
from plimsoll.messages import FILES, FLOOR_REPORT, Policy
from plimsoll.net.contexts import ServerIdentity, client_context, set_version_range
from plimsoll.relay.service import RelayService, safe_path
from plimsoll.relay.state import RelayFloorKeeper
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.versions import Version

NOW = 1_800_000_000.0
EARLY = Policy(name="old", generation=2, relay_floor=Version.TLS1_0)


class Site:
    """A relay in a folder, and certificates for its callers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = TestAuthority()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.pem)
        self.home = Home(folder / "relay-home")
        self.home.create()
        self.home.files.mkdir(parents=True)
        self.keeper = RelayFloorKeeper.open(self.home, activated_with="12.0.0", now=NOW, software="12.0.0")

    def service(self) -> RelayService:
        cert, key = self.authority.leaf("relay", "5").write(self.folder, "relay")
        identity = ServerIdentity(str(cert), str(key))
        return RelayService(self.keeper, self.home.files, identity, self.ca, self.authority.installation)

    def run(self, scenario: Callable[[RelayService], Awaitable[None]]) -> None:
        async def work() -> None:
            service = self.service()
            await service.start("127.0.0.1", 0)
            try:
                await scenario(service)
            finally:
                await service.stop()

        asyncio.run(work())

    def caller(self, role: str | None, version: Version | None = None, installation: str | None = None) -> Caller:
        cert, key = None, None
        if role is not None:
            cert, key = self.authority.leaf(role, "9", installation=installation).write(self.folder, f"{role}-caller")
        minimum = version or Version.TLS1_2
        context = client_context(
            ca=str(self.ca), cert=str(cert) if cert else None, key=str(key) if key else None, minimum=minimum
        )
        if version is not None:
            set_version_range(context, version, version)
        return Caller(context)


class Caller:
    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def _request(self, port: int, method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.context, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    async def get(self, port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
        return await in_thread(self._request, port, method, path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_only_a_manager_of_the_installation_learns_the_floor(site: Site) -> None:
    async def scenario(relay: RelayService) -> None:
        status, body = await site.caller("manager").get(relay.port, FLOOR_REPORT)
        assert status == 200
        assert json.loads(body)["floor"] == "TLSv1.2"
        assert json.loads(body)["origin"] == "version default"
        for caller in [site.caller("agent"), site.caller(None), site.caller("manager", installation="other")]:
            status, body = await caller.get(relay.port, FLOOR_REPORT)
            assert status == 403
            assert b"floor" not in body or b"only a manager" in body

    site.run(scenario)


def test_files_go_to_members_of_the_installation_and_to_nobody_else(site: Site) -> None:
    content = bytes(range(256)) * 4096
    (site.home.files / "agent").mkdir()
    (site.home.files / "agent" / "12.0.0.deb").write_bytes(content)

    async def scenario(relay: RelayService) -> None:
        path = f"{FILES}/agent/12.0.0.deb"
        for role in ("agent", "relay", "manager"):
            assert await site.caller(role).get(relay.port, path) == (200, content)
        assert (await site.caller("agent").get(relay.port, path, "HEAD"))[1] == b""
        assert (await site.caller("agent").get(relay.port, path, "POST"))[0] == 405
        assert (await site.caller(None).get(relay.port, path))[0] == 403
        assert (await site.caller("agent", installation="other").get(relay.port, path))[0] == 403
        for missing in (f"{FILES}/agent", f"{FILES}/none", f"{FILES}/..%2fca.pem", f"{FILES}/", "/elsewhere"):
            assert (await site.caller("agent").get(relay.port, missing))[0] == 404

    site.run(scenario)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "files"
    root.mkdir()
    (tmp_path / "secret").write_text("s")
    (root / "ok.txt").write_text("o")
    (root / ".hidden").write_text("h")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "inner").symlink_to(root / "ok.txt")
    assert safe_path(root, "ok.txt") == root / "ok.txt"
    assert safe_path(root, "inner") == root / "ok.txt"
    for name in ("../secret", "/etc/passwd", "link", ".hidden", "a/../ok.txt", "ok.txt/", "", "ok.txt\0", "./ok.txt"):
        assert safe_path(root, name) is None, name


@pytest.mark.rule("R14")
def test_a_stored_policy_swaps_the_floor_live_and_handshakes_show_it(site: Site) -> None:
    async def scenario(relay: RelayService) -> None:
        old = site.caller("agent", Version.TLS1_0)
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await old.get(relay.port, f"{FILES}/x")
        site.keeper.hold(EARLY, NOW)
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await old.get(relay.port, f"{FILES}/x")  # stored is not yet in force
        relay.apply()
        assert (await old.get(relay.port, f"{FILES}/x"))[0] == 404
        (seen,) = relay.refusals()
        assert (seen.offered, seen.count) == (Version.TLS1_0, 2)
        site.keeper.hold(Policy(name="new", generation=3, relay_floor=Version.TLS1_3), NOW)
        relay.apply()
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await site.caller("agent", Version.TLS1_2).get(relay.port, f"{FILES}/x")
        assert (await site.caller("agent", Version.TLS1_3).get(relay.port, f"{FILES}/x"))[0] == 404
        assert relay.report().policy_generation == 3

    site.run(scenario)


def test_a_renewed_certificate_is_shown_without_closing_the_port(site: Site) -> None:
    async def scenario(relay: RelayService) -> None:
        caller = site.caller("manager")
        assert (await caller.get(relay.port, FLOOR_REPORT))[0] == 200
        cert, key = site.authority.leaf("relay", "5", age_days=0).write(site.folder, "renewed")
        relay.reload(ServerIdentity(str(cert), str(key)))
        shown = await in_thread(ssl.get_server_certificate, ("127.0.0.1", relay.port))
        assert shown.strip() in cert.read_text()
        assert (await caller.get(relay.port, FLOOR_REPORT))[0] == 200

    site.run(scenario)
