"""The workarounds of R22 run for real: old curls, a plain-HTTP web server, real dpkg and rpm in roots of their own."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from tests.acceptance.test_deployment_scripts import ROCKY, Site
from tests.support import agent_packages
from tests.support.manager import manager
from tests.support.script_roots import Root

#: curl 7.19's options that the workaround may use, from its manual of 2009; everything newer is refused.
CURL_7_19 = """#!/bin/sh
for option in "$@"; do
    case $option in
        --silent | --show-error | --connect-timeout | --output | --write-out) ;;
        --version | -V)
            echo 'curl 7.19.7 (x86_64-redhat-linux-gnu) libcurl/7.19.7 NSS/3.14.0.0 zlib/1.2.3'
            exit 0
            ;;
        -*)
            echo "curl: option $option: is unknown" >&2
            exit 2
            ;;
    esac
done
exec /usr/bin/curl "$@"
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@dataclass
class Shop(Site):
    """A site whose packages lie on a web server of its own, too."""

    web: Path = field(default_factory=Path)
    url: str = ""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    web = folder / "www"
    web.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=web))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with manager(folder / "home") as running:
            made = Shop(running, folder, web=web, url=f"http://127.0.0.1:{server.server_port}")
            running.post("/api/software/keys", {"text": made.publisher.pem, "name": "tests"})
            made.take(agent_packages.deb(folder, "12.1.0"), version="12.1.0", platform="Debian_12", file="agent.deb")
            made.take(agent_packages.rpm(folder, "12.1.0"), version="12.1.0", platform="RedHat_EL8", file="agent.rpm")
            made.take(b"MSI" * 500, version="12.1.0", platform="Windows", file="agent.msi")
            yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def export(shop: Shop, platform: str) -> None:
    ran = shop.manager.cli("software", "export", "--platform", platform, "--out", shop.web)
    assert ran.returncode == 0, ran.stderr


def old_root(shop: Shop, system: str = "") -> Root:
    root = shop.root()
    root.write("/usr/local/bin/curl", CURL_7_19, 0o755)
    if system:
        root.write("/etc/os-release", system)
    return root


def run(root: Root, script: str) -> tuple[int, str]:
    ran = root.run("sh", typed=script, env={"PLIMSOLL_RETRY_SECONDS": "0"})
    return ran.returncode, ran.stdout + ran.stderr


KINDS = {"dpkg": ("Debian_12", "", "deb"), "rpm": ("Rocky_8", ROCKY, "rpm")}


@pytest.mark.rule("R22")
@pytest.mark.parametrize("kind", KINDS)
def test_a_host_with_an_old_curl_is_installed_and_activated_from_ones_own_web_server(shop: Shop, kind: str) -> None:
    platform, system, ending = KINDS[kind]
    export(shop, platform.replace("Rocky_", "RedHat_EL"))
    script = shop.script("--workaround", kind, "--base-url", shop.url, "--platform", platform, "--display-name", kind)
    root = old_root(shop, system)
    code, said = run(root, script)
    assert code == 0, said
    assert f"Downloading {shop.url}/agent.{ending}" in said
    assert "(SHA-256)" in said
    assert "HTTP Status: 200 - OK" in said
    query = ("dpkg-query", "-W", "plimsoll-agent") if kind == "dpkg" else ("rpm", "-q", "plimsoll-agent")
    assert "12.1.0" in root.run(*query).stdout
    assert kind in {one["displayName"] for one in shop.manager.get("/api/computers")["computers"]}
    assert [left for left in root.left_in("/tmp") if left.startswith("plimsoll")] == []
    code, said = run(root, script)
    assert (code, "installed already" in said, "Activated already" in said) == (0, True, True), said


@pytest.mark.rule("R22")
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_at_the_base_url_ends_with_1(shop: Shop, kind: str) -> None:
    platform, system, ending = KINDS[kind]
    (shop.web / f"agent.{ending}").write_bytes(b"")
    script = shop.script("--workaround", kind, "--base-url", shop.url, "--platform", platform, "--no-activation")
    root = old_root(shop, system)
    code, said = run(root, script)
    assert code == 1
    assert f"the file at {shop.url}/agent.{ending} is empty; nothing was installed" in said
    assert not root.has("/opt/ds_agent")


@pytest.mark.rule("R22")
def test_over_plain_http_another_package_than_the_scripts_own_is_not_installed(shop: Shop) -> None:
    (shop.web / "agent.deb").write_bytes(agent_packages.deb(shop.folder, "12.0.9"))
    script = shop.script("--workaround", "dpkg", "--base-url", shop.url, "--no-activation")
    root = old_root(shop)
    code, said = run(root, script)
    assert code == 31
    assert "This script is for agent 12.1.0 for Debian_12 x86_64" in said
    assert not root.has("/opt/ds_agent")
    unchecked = shop.script("--workaround", "dpkg", "--base-url", shop.url, "--no-activation", "--unchecked")
    # What the manager has is checked even so.
    assert run(root, unchecked)[0] == 31


@pytest.mark.rule("R22")
def test_a_web_server_that_is_not_there_or_has_no_such_file_is_told_apart(shop: Shop) -> None:
    options = ("--workaround", "dpkg", "--no-activation", "--platform", "Debian_12")
    code, said = run(old_root(shop), shop.script(*options, "--base-url", f"{shop.url}/nowhere/"))
    assert (code, "with HTTP 404" in said) == (26, True), said
    code, said = run(old_root(shop), shop.script(*options, "--base-url", "http://127.0.0.1:1"))
    assert (code, "there is no way to http://127.0.0.1:1" in said) == (24, True), said
    code, said = run(old_root(shop), shop.script(*options, "--base-url", "http://no-such-host.invalid"))
    assert (code, "is not known to this computer" in said) == (23, True), said


@pytest.mark.rule("R22")
def test_the_windows_script_is_made_for_its_package(shop: Shop) -> None:
    script = shop.script("--workaround", "windows", "--base-url", f"{shop.url}/", system="windows")
    assert script.startswith("#requires -version 2.0\n")
    assert f"$BaseUrl = '{shop.url}'" in script
    assert "$PackageFile = 'agent.msi'" in script
