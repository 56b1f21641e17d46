"""Deployment scripts run for real: in roots of their own, against a live manager that enforces TLS 1.2 (R20, R21)."""

from __future__ import annotations

import base64
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support import agent_packages
from tests.support.agent_packages import HOME
from tests.support.manager import Manager, manager
from tests.support.process import eventually
from tests.support.releases import Publisher
from tests.support.script_roots import Root

from plimsoll.testing.certificates import TestAuthority

DEBIAN = "Debian_12"
ROCKY = """NAME="Rocky Linux"
VERSION="8.10 (Green Obsidian)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="8.10"
PRETTY_NAME="Rocky Linux 8.10 (Green Obsidian)"
"""
#: A curl as RHEL 6 has it: it says so, and it knows nothing newer.
OLD_CURL = """#!/bin/sh
for option in "$@"; do
    case $option in
        --tlsv1.2 | --proto | --tlsv1.3 | --tls-max)
            echo "curl: option $option: is unknown" >&2
            echo "curl: try 'curl --help' or 'curl --manual' for more information" >&2
            exit 2
            ;;
        --version | -V)
            echo 'curl 7.19.7 (x86_64-redhat-linux-gnu) libcurl/7.19.7 NSS/3.14.0.0 zlib/1.2.3'
            exit 0
            ;;
    esac
done
exec /usr/bin/curl "$@"
"""
#: Today's curl, changed in one thing.
CHANGED_CURL = """#!/bin/sh
{change}
exec /usr/bin/curl "$@"
"""


@dataclass
class Site:
    """A manager with packages, and a folder for roots."""

    manager: Manager
    folder: Path
    publisher: Publisher = field(default_factory=Publisher)
    _roots: int = 0

    def take(self, content: bytes, **said: Any) -> dict[str, Any]:
        """Imports a package."""
        signature = self.publisher.sign(content, **said)
        headers = {"release-signature": base64.b64encode(signature.encode()).decode()}
        answer = self.manager.client.request("POST", "/api/software", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    def script(self, *more: str, system: str = "linux", expect: int = 0) -> str:
        """What `plimsoll deploy-script` prints; what it says where it fails."""
        ran = self.manager.cli("deploy-script", system, "--manager", "127.0.0.1", *more)
        assert ran.returncode == expect, ran.stderr
        return ran.stdout if expect == 0 else ran.stderr

    def root(self) -> Root:
        self._roots += 1
        return Root(self.folder / f"root{self._roots}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with manager(folder / "home") as running:
        made = Site(running, folder)
        running.post("/api/software/keys", {"text": made.publisher.pem, "name": "tests"})
        made.take(agent_packages.deb(folder, "12.1.0"), version="12.1.0", platform=DEBIAN, file="agent-12.1.0.deb")
        made.take(
            agent_packages.rpm(folder, "12.1.0"), version="12.1.0", platform="RedHat_EL8", file="agent-12.1.0.rpm"
        )
        yield made


def run(root: Root, script: str, **options: Any) -> tuple[int, str]:
    """As pasted: a shell reads it from its input."""
    ran = root.run("sh", typed=script, env={"PLIMSOLL_RETRY_SECONDS": "0"}, **options)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.rule("R21")
def test_one_pasted_script_installs_activates_and_heartbeats(site: Site) -> None:
    assert site.manager.floors()["gui"] == site.manager.floors()["heartbeat"] == "TLSv1.2"
    policy = site.manager.post("/api/policies", {"name": 'Servers\' "$HOME" `id`', "heartbeatSeconds": 60})
    script = site.script("--policy", str(policy["ID"]), "--display-name", 'it\'s $HOME; `id` "!"')
    root = site.root()
    code, said = run(root, script)
    assert code == 0, said
    assert "This is Debian_12 x86_64; downloading agent 12.1.0" in said
    assert "HTTP Status: 200 - OK" in said
    assert "Done: installed, activated, and the manager has its first heartbeat." in said
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "plimsoll-agent").stdout == "12.1.0"
    known = site.manager.get("/api/computers")["computers"]
    shown = [one for one in known if one["displayName"] == 'it\'s $HOME; `id` "!"']
    assert len(shown) == 1
    assert policy["name"] in site.manager.cli("computers", "show", str(shown[0]["ID"])).stdout
    assert shown[0]["lastAgentCommunication"]
    assert [name for name in root.left_in("/tmp") if name.startswith("plimsoll")] == []
    token = next(line for line in script.splitlines() if line.startswith("TOKEN=")).split("'")[1]
    assert token.startswith("pt1.")
    assert token not in said
    assert token.split(".")[2] not in site.manager.process.error_text  # type: ignore[union-attr]  # it runs

    code, said = run(root, script)
    assert code == 0, said
    assert "plimsoll-agent 12.1.0 is installed already." in said
    assert "Activated already" in said
    assert len(site.manager.get("/api/computers")["computers"]) == len(known)
    # What the script installed is the agent's own command, too.
    assert root.run("/opt/ds_agent/dsa_control", "-r").returncode == 0
    assert not root.has(f"{HOME}/agent.json")


@pytest.mark.rule("R21")
def test_a_relay_on_a_system_with_rpm(site: Site) -> None:
    root = site.root()
    root.write("/etc/os-release", ROCKY)
    code, said = run(root, site.script("--relay", "--display-name", "rocky"))
    assert code == 0, said
    assert "This is Rocky_8 x86_64; downloading agent 12.1.0" in said
    assert root.run("rpm", "-q", "plimsoll-agent").stdout.startswith("plimsoll-agent-12.1.0-1")
    relay = next(one for one in site.manager.get("/api/computers")["computers"] if one["displayName"] == "rocky")
    assert relay["kind"] == "relay"
    code, said = run(root, site.script("--relay"))
    assert (code, "is installed already" in said) == (0, True), said


@pytest.mark.rule("R21")
def test_an_old_curl_is_named_with_what_to_do(site: Site) -> None:
    root = site.root()
    root.write("/usr/local/bin/curl", OLD_CURL, 0o755)
    code, said = run(root, site.script("--no-activation"))
    assert code == 12
    assert "curl 7.19.7 is too old" in said
    assert "curl 7.34.0 or newer: upgrade curl" in said
    assert "--workaround" in said
    assert not root.has("/opt/ds_agent")


def changed(change: str) -> Callable[[Site, Root], None]:
    return lambda site, root: root.write("/usr/local/bin/curl", CHANGED_CURL.format(change=change), 0o755)


@dataclass(frozen=True)
class Cause:
    """A failure made real: how, the code that it ends with, and what it says."""

    code: int
    said: str
    options: tuple[str, ...] = ()
    prepare: Callable[[Site, Root], None] = lambda site, root: None


def _no_way(site: Site, root: Root) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # 127.0.0.9 is this machine too, and nobody listens there on that port.
    change = f'set -- "$@" --connect-to "::127.0.0.9:{port}"'
    changed(change)(site, root)


CAUSES = {
    "the name is not known": Cause(23, "is not known to this computer", ("--manager", "no-such-host.invalid")),
    "nobody listens": Cause(24, "there is no way to", prepare=_no_way),
    "no answer in time": Cause(25, "did not answer in time", prepare=changed('set -- "$@" --connect-timeout 0.001')),
    "an option is unknown": Cause(
        22, "does not know an option", prepare=changed('case "$*" in *--proto*) set -- --no-such-option ;; esac')
    ),
    "a wrong proxy": Cause(23, "the name of the proxy", prepare=changed("export https_proxy=http://nowhere.invalid:1")),
    "no curl": Cause(11, "curl is not installed", prepare=lambda site, root: root.remove("/usr/bin/curl")),
}


@pytest.mark.rule("R21")
@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_of_a_failed_download_is_told_apart(site: Site, name: str) -> None:
    cause = CAUSES[name]
    root = site.root()
    cause.prepare(site, root)
    code, said = run(root, site.script("--no-activation", *cause.options))
    assert (code, cause.said in said) == (cause.code, True), said
    assert "nothing was" in said
    assert not root.has("/opt/ds_agent")
    assert [left for left in root.left_in("/tmp") if left.startswith("plimsoll")] == []


@pytest.mark.parametrize(("busy", "code"), [(3, 0), (4, 28)])
def test_a_manager_that_is_busy_is_asked_again_for_a_while(site: Site, busy: int, code: int) -> None:
    root = site.root()
    # The first answers are replaced; what curl really downloaded is left out of sight.
    change = f"""case "$*" in *--proto*)
    echo x >>/var/tmp/asked
    if [ "$(wc -l </var/tmp/asked)" -le {busy} ]; then printf 503; exit 0; fi ;;
esac"""
    changed(change)(site, root)
    ended, said = run(root, site.script("--no-activation"))
    assert ended == code, said
    assert ("the manager is busy (HTTP 503)" in said) == (code == 28)
    assert root.read("/var/tmp/asked").count("x") == min(busy + 1, 4)


@pytest.mark.rule("R21")
def test_a_ca_that_is_not_the_managers_is_not_trusted_even_where_the_system_trusts_another(
    site: Site, tmp_path: Path
) -> None:
    other = TestAuthority()
    (tmp_path / "other.pem").write_bytes(other.pem)
    code, said = run(site.root(), site.script("--no-activation", "--ca-file", str(tmp_path / "other.pem")))
    assert code == 20
    assert "the certificate of the manager was not accepted" in said
    assert "It says 20" in said
    # The system trusts the manager's CA, which this script must not ask.
    root = site.root()
    root.write("/etc/ssl/certs/ca-certificates.crt", site.manager.ca.read_text())
    code, said = run(root, site.script("--no-activation", "--ca-file", str(tmp_path / "other.pem")))
    assert code == 20
    code, said = run(root, site.script("--no-activation", "--system-trust"))
    assert code == 0, said
    code, said = run(site.root(), site.script("--no-activation", "--system-trust"))
    assert code == 20
    assert "This script trusts what this computer trusts" in said


def test_a_script_that_trusts_anything_says_so_loudly_and_still_checks_the_package(site: Site, tmp_path: Path) -> None:
    ran = site.manager.cli("deploy-script", "linux", "--manager", "127.0.0.1", "--insecure", "--no-activation")
    assert "THE MANAGER'S CERTIFICATE IS NOT CHECKED" in ran.stderr
    code, said = run(site.root(), ran.stdout)
    assert code == 0, said
    assert "WARNING: THE CERTIFICATE OF THE MANAGER IS NOT CHECKED" in said
    assert "The package is the one that this script was made for" in said


@pytest.mark.rule("R21")
def test_a_refused_handshake_names_the_floor_and_the_library(site: Site) -> None:
    script = site.script("--no-activation")
    root = site.root()
    changed('case "$*" in *--proto*) set -- "$@" --tls-max 1.2 ;; esac')(site, root)
    assert run(root, script)[0] == 0
    site.manager.set_floor("TLSv1.3", "gui")
    try:
        raised = site.script("--no-activation")
        root = site.root()
        changed('case "$*" in *--proto*) set -- "$@" --tls-max 1.2 ;; esac')(site, root)
        code, said = run(root, raised)
        assert code == 21
        assert "the TLS handshake was refused" in said
        assert "The manager accepts TLSv1.3 and newer; here is curl 7." in said
        assert run(site.root(), raised)[0] == 0
    finally:
        site.manager.set_floor("TLSv1.2", "gui")


def test_a_package_that_was_changed_or_is_gone_is_not_installed(site: Site) -> None:
    content = agent_packages.deb(site.folder, "12.0.5")
    taken = site.take(content, version="12.0.5", platform=DEBIAN, file="agent-12.0.5.deb")
    script = site.script("--no-activation", "--version", "12.0.5")
    lying = site.manager.home / "software" / "files" / taken["sha256"]
    kept = lying.read_bytes()
    lying.write_bytes(kept[:-1] + b"\0")
    root = site.root()
    code, said = run(root, script)
    assert code == 31
    assert f"expected is {taken['sha256']}" in said
    assert "tell its administrator" in said
    assert not root.has("/opt/ds_agent")
    lying.write_bytes(kept)
    assert site.manager.client.request("DELETE", f"/api/software/{taken['id']}").status_code == 200
    code, said = run(site.root(), script)
    assert code == 26
    assert "there is no agent 12.0.5 (.deb) for Debian_12 x86_64" in said
    assert "Make a new script" in said


def test_a_script_wants_root_and_a_known_system(site: Site) -> None:
    script = site.script("--no-activation")
    root = site.root()
    ran = root.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", typed=script)
    assert ran.returncode == 10
    assert "must run as root" in ran.stderr
    root = site.root()
    root.write("/etc/os-release", 'ID=plan9\nVERSION_ID="4"\nPRETTY_NAME="Plan 9"\n')
    code, said = run(root, script)
    assert code == 14
    assert "no agent package (.deb) for plan9_4 x86_64 (Plan 9)" in said


def test_an_activation_that_fails_says_what_is_there_and_what_to_do(site: Site) -> None:
    used = site.manager.new_token(1)
    root = site.root()
    assert run(root, site.script("--token", used))[0] == 0
    code, said = run(site.root(), site.script("--token", used))
    assert code == 50
    assert "the activation token is used up" in said
    assert "make a new script on the manager" in said
    assert used not in said
    script = site.script().replace(f":{site.manager.heartbeat_port}/", ":1/")
    code, said = run(site.root(), script)
    assert code == 51
    assert "was not reached, so this computer was not activated" in said


@pytest.mark.rule("R20")
def test_under_an_enforced_floor_an_old_agent_is_named_before_anything_is_downloaded(site: Site) -> None:
    content = agent_packages.deb(site.folder, "9.6.2")
    site.take(content, version="9.6.2", platform="Debian_7", file="agent-9.6.2.deb")
    old = ("--no-activation", "--version", "9.6.2")
    # Made while early TLS was allowed, and run after the raise.
    lowered = site.manager.dsm_c("TLSv1")
    assert lowered.returncode == 0, lowered.stderr
    root = site.root()
    root.write("/etc/os-release", 'ID=debian\nVERSION_ID="7"\nPRETTY_NAME="Debian 7"\n')
    script = site.script("--version", "9.6.2", "--display-name", "old")
    code, said = run(root, script)
    assert code == 0, said
    assert "downloading agent 9.6.2" in said
    raised = site.manager.dsm_c("TLSv1.2", "-force", "a test")
    assert raised.returncode == 0, raised.stderr
    said = site.script(*old, expect=3)
    assert "agent 9.6.2 for Debian_7 x86_64 speaks TLSv1 at most, and is refused by" in said
    assert "heartbeat (TLSv1.2 and newer)" in said
    assert "allow early TLS again first" in said
    checked = site.manager.cli("deploy-script", "--check", "--version", "9.6.2")
    assert checked.returncode == 3
    assert "gui 4119: TLSv1.2" in checked.stdout
    root = site.root()
    root.write("/etc/os-release", 'ID=debian\nVERSION_ID="7"\nPRETTY_NAME="Debian 7"\n')
    code, said = run(root, script)
    assert code == 27
    assert "the manager would not accept this agent, so it was not downloaded" in said
    assert "agent 9.6.2 for Debian_7 x86_64 speaks TLSv1 at most" in said
    assert not root.has("/opt/ds_agent")
    # Newer ones go on being deployed; the old one is again once early TLS is allowed.
    assert run(site.root(), site.script("--no-activation"))[0] == 0
    assert site.manager.dsm_c("TLSv1").returncode == 0
    root = site.root()
    root.write("/etc/os-release", 'ID=debian\nVERSION_ID="7"\nPRETTY_NAME="Debian 7"\n')
    code, said = run(root, site.script(*old))
    assert code == 0, said
    assert root.has("/opt/ds_agent")
    assert site.manager.dsm_c("TLSv1.2", "-force", "a test").returncode == 0


@pytest.mark.rule("R21")
def test_the_references_own_script_finds_its_addresses(site: Site) -> None:
    """As scripts of 11.1 and later go about it, in words of our own."""
    script = f"""
set -e
cd "$(mktemp -d)"
ca=/etc/plimsoll-ca.pem
manager=https://127.0.0.1:{site.manager.gui_port}
options='--silent --tlsv1.2 --fail --cacert '$ca
curl $manager/software/deploymentscript/platform/linuxdetectscriptv1/ -o detect $options
. ./detect
platform_detect
test -n "$majorVersion" && test -n "$runningPlatform"
if [ $isRPM = 1 ]; then package=agent.rpm; else package=agent.deb; fi
where="$manager/software/agent/$runningPlatform$majorVersion/$archType"
curl -H 'Agent-Version-Control: on' "$where/$package?tenantID=" -o $package $options
curl "$manager/software/agent/$runningPlatform$majorVersion/$archType/" -o older $options
cmp $package older
dpkg -i $package
"""
    root = site.root()
    root.write("/etc/plimsoll-ca.pem", site.manager.ca.read_text())
    code, said = run(root, script)
    assert code == 0, said
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "plimsoll-agent").stdout == "12.1.0"


def test_the_computer_goes_on_heartbeating(site: Site) -> None:
    root = site.root()
    code, said = run(root, site.script("--display-name", "steady"))
    assert code == 0, said
    first = _seen(site, "steady")
    assert root.run("/opt/ds_agent/dsa_control", "-m").stdout == "HTTP Status: 200 - OK\n"
    eventually(lambda: _seen(site, "steady") > first, "a later heartbeat")


def _seen(site: Site, name: str) -> float:
    found = next(one for one in site.manager.get("/api/computers")["computers"] if one["displayName"] == name)
    return float(found["lastAgentCommunication"])


def test_dash_bash_and_busybox_read_the_same_script(site: Site) -> None:
    script = site.script("--no-activation")
    for shell in ("dash", "bash", "busybox sh"):
        if shutil.which(shell.split()[0]) is None:
            continue
        root = site.root()
        ran = root.run(*shell.split(), typed=script)
        assert ran.returncode == 0, (shell, ran.stderr)
