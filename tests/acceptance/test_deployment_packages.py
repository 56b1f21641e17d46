"""The real packages by one pasted script, in roots made by debootstrap: no Python there, and nothing of this tree."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.test_deployment_scripts import ROCKY
from tests.support.manager import Manager
from tests.support.packaged import package, running_agent
from tests.support.process import eventually
from tests.support.releases import Publisher
from tests.support.roots import Root, debian

from plimsoll import RELEASE

# Where nothing is there yet, interpreter, packages and roots are made first: some minutes.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.deep]

STATE = "/var/opt/plimsoll-agent"


@pytest.fixture(scope="module")
def stocked(running: Manager) -> Iterator[Manager]:
    """The manager, enforcing TLS 1.2, with the packages of this tree in its repository."""
    publisher = Publisher()
    running.post("/api/software/keys", {"text": publisher.pem, "name": "tests"})
    for form in ("deb", "rpm"):
        built = package("agent", form)
        content = built.read_bytes()
        signature = publisher.sign(content, version=RELEASE, platform="Linux", file=built.name)
        headers = {"release-signature": base64.b64encode(signature.encode()).decode()}
        answer = running.client.request("POST", "/api/software", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
    running.quick_policy()
    yield running


def bring_curl(root: Root) -> None:
    """This machine's curl, with the libraries that it loads: the smallest Debian has none."""
    loaded = subprocess.run(["ldd", "/usr/bin/curl"], capture_output=True, text=True, check=True).stdout
    for name in ["/usr/bin/curl", *(word for word in loaded.split() if word.startswith("/"))]:
        target = root.path / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(Path(name).resolve(), target)
    subprocess.run(["ldconfig", "-r", root.path], check=True)


def run(root: Root, manager: Manager, *more: str) -> subprocess.CompletedProcess[str]:
    made = manager.cli("deploy-script", "linux", "--manager", "127.0.0.1", *more)
    assert made.returncode == 0, made.stderr
    script = root.path / "tmp" / "deploy.sh"
    script.write_text(made.stdout)
    try:
        return root.run("sh", "/tmp/deploy.sh", expect=None)
    finally:
        script.unlink()


@pytest.mark.rule("R21")
def test_a_pasted_script_installs_the_real_package_which_heartbeats(tmp_path: Path, stocked: Manager) -> None:
    assert stocked.floors()["gui"] == stocked.floors()["heartbeat"] == "TLSv1.2"
    with debian("bookworm", tmp_path / "root") as root:
        bring_curl(root)
        before = root.files()
        done = run(root, stocked, "--display-name", "by script")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Done: installed, activated, and the manager has its first heartbeat." in done.stdout
        assert root.run("dpkg", "--audit").stdout == ""
        assert root.run("stat", "-c", "%U %a", f"{STATE}/key.pem").stdout.split() == ["plimsoll-agent", "600"]
        assert {path for path in root.files() if path.startswith("/tmp") and path not in before} == set()
        first = _seen(stocked, "by script")
        with running_agent(root):
            eventually(lambda: _seen(stocked, "by script") > first, "the installed agent's own heartbeat")
            # On the running agent, through its socket; then a bundle, where the agent's user may write.
            assert root.run("/opt/ds_agent/dsa_control", "-m").stdout == "HTTP Status: 200 - OK\n"
            bundle = root.run("dsa_control", "-d").stdout.strip()
            assert (root.path / bundle.lstrip("/")).stat().st_mode & 0o777 == 0o600
        known = len(stocked.computers())
        again = run(root, stocked)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "is installed already" in again.stdout
        assert "Activated already" in again.stdout
        assert len(stocked.computers()) == known
        assert "is activated no longer" in root.run("dsa_control", "-r").stdout


@pytest.mark.rule("R21")
def test_the_real_rpm_is_installed_by_the_same_script(tmp_path: Path, stocked: Manager) -> None:
    """rpm's database of this root is empty, so what the package needs is not looked up: its files are Debian's."""
    with debian("bookworm", tmp_path / "root") as root:
        bring_curl(root)
        (root.path / "etc" / "os-release").unlink()
        (root.path / "etc" / "os-release").write_text(ROCKY)
        # This machine's rpm works on the root from outside; inside a stand-in hands over to it.
        requests = _rpm_from_outside(root)
        done = run(root, stocked, "--display-name", "by rpm")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "This is Rocky_8 x86_64" in done.stdout
        assert requests.exists()
        assert _seen(stocked, "by rpm")


def _rpm_from_outside(root: Root) -> Path:
    """rpm in the root, copied as curl is, without looking at what an empty database cannot know."""
    loaded = subprocess.run(["ldd", "/usr/bin/rpm"], capture_output=True, text=True, check=True).stdout
    for name in [word for word in loaded.split() if word.startswith("/")]:
        target = root.path / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(Path(name).resolve(), target)
    shutil.copytree("/usr/lib/rpm", root.path / "usr/lib/rpm", symlinks=True)
    shutil.copy2("/usr/bin/rpm", root.path / "usr/bin/rpm.real")
    subprocess.run(["ldconfig", "-r", root.path], check=True)
    noted = root.path / "var" / "tmp" / "rpm.words"
    stand_in = root.path / "usr/bin/rpm"
    stand_in.write_text(
        '#!/bin/sh\necho "$*" >>/var/tmp/rpm.words\n'
        'case $1 in -i* | -U*) exec rpm.real --nodeps "$@" ;; *) exec rpm.real "$@" ;; esac\n'
    )
    stand_in.chmod(0o755)
    return noted


def _seen(manager: Manager, name: str) -> float:
    found = [one for one in manager.get("/api/computers")["computers"] if one["displayName"] == name]
    return float(found[0]["lastAgentCommunication"] or 0) if found else 0.0
