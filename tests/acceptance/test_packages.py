"""Packages on hosts that they were not made on: roots with a Debian in them, no Python, and nothing of this tree.

systemd does not run in them: what a unit starts is started as the unit says it.
"""

from __future__ import annotations

import json
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import elf
from tests.support.manager import Manager
from tests.support.packaged import package, running_agent
from tests.support.process import eventually, free_ports
from tests.support.roots import Root, debian
from tests.support.tools import s_client, s_client_early

from plimsoll import RELEASE

# Where nothing is there yet, interpreter, packages and roots are made first: some minutes.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.deep]

STATE, CODE = "/var/opt/plimsoll-agent", "/opt/plimsoll-agent"


@pytest.fixture(scope="module")
def early(running: Manager) -> Manager:
    """The manager, with short heartbeats for those who are activated now."""
    running.quick_policy()
    return running


@pytest.fixture(scope="module")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    with debian("bookworm", tmp_path_factory.mktemp("bookworm") / "root") as root:
        yield root


def activate(root: Root, manager: Manager, name: str, *more: str) -> str:
    command = ["plimsoll-agent", "activate", "--manager", manager.url, "--token", manager.new_token(1), "--name", name]
    return root.run(*command, *more).stdout


def current(root: Root) -> str:
    """Which version of the agent is in use."""
    return str((root.path / CODE[1:] / "current").readlink())


def owner(root: Root, path: str) -> str:
    """Whose a file of the root is, by the root's own names."""
    return root.run("stat", "-c", "%U", path).stdout.strip()


def test_an_agent_package_is_installed_serves_and_goes_without_a_trace(bookworm: Root, early: Manager) -> None:
    root = bookworm
    assert root.run("sh", "-c", "command -v python3 || command -v python", expect=None).returncode != 0
    before = root.files()
    said = root.run("dpkg", "-i", root.put(package("agent", "deb"))).stdout
    assert "plimsoll-agent activate --manager" in said
    assert root.run("dpkg", "--audit").stdout == ""
    version = json.loads(root.run("plimsoll-agent", "version", "--json").stdout)
    assert version["plimsoll"] == RELEASE
    assert version["tls_library"].startswith("OpenSSL 3.")
    assert current(root) == f"versions/{RELEASE}"
    assert "holds no activated agent" in root.run("plimsoll-agent", "status", expect=1).stderr

    (port,) = free_ports(1)
    assert "relay" in activate(root, early, "packaged-relay", "--relay", "--relay-port", str(port))
    # Root activated; the service's user owns what that wrote, and nobody else reads it.
    assert owner(root, f"{STATE}/key.pem") == "plimsoll-agent"
    assert (root.path / STATE[1:] / "key.pem").stat().st_mode & 0o777 == 0o600
    with running_agent(root) as service:
        computer = early.computer("packaged-relay")
        assert computer["platform"].startswith("Debian GNU/Linux 12")
        uids = Path(f"/proc/{service.pid}/status").read_text().split("Uid:")[1].split("\n")[0].split()
        assert set(uids) == {root.run("id", "-u", "plimsoll-agent").stdout.strip()} != {"0"}
        _check_relay(early, port)
        status = json.loads(root.run("plimsoll-agent", "status", "--json").stdout)
        assert status["running"] and status["heartbeat"]["negotiated"] == "TLSv1.3"

    root.run("dpkg", "-r", "plimsoll-agent")
    left = {path for path in root.files() if path not in before}
    assert {path for path in left if not path.startswith(STATE)} == {
        *("/etc/plimsoll-agent", "/etc/plimsoll-agent/agent.conf"),  # settings, until a purge
    }
    assert f"{STATE}/key.pem" in left
    root.run("dpkg", "-P", "plimsoll-agent")
    after = root.files()
    assert {path for path in after if path not in before} == {"/var/opt"} - set(before)
    assert {path: what for path, what in before.items() if after.get(path) != what} == {}


def _check_relay(manager: Manager, port: int) -> None:
    """The relay refuses early TLS by alert, speaks 1.2 and 1.3, and its OpenSSL can still speak 1.0 when told to."""
    assert s_client_early(port).refused_by_version
    assert s_client(port, "-tls1_2").connected
    assert s_client(port, "-tls1_3").connected
    manager.set_minimum("TLSv1")
    manager.send_policy("packaged-relay")
    eventually(lambda: s_client_early(port).connected, "the relay serves TLS 1.0 where its policy says so")
    manager.set_minimum("TLSv1.2")
    manager.send_policy("packaged-relay")
    eventually(lambda: s_client_early(port).refused_by_version, "the relay refuses TLS 1.0 again")


def test_an_older_userland_runs_the_same_agent(tmp_path: Path, early: Manager) -> None:
    with debian("bullseye", tmp_path / "root") as root:
        assert "2.31" in root.run("ldd", "--version").stdout
        root.run("dpkg", "-i", root.put(package("agent", "deb")))
        activate(root, early, "bullseye-agent")
        with running_agent(root):
            assert early.computer("bullseye-agent")["platform"].startswith("Debian GNU/Linux 11")


def test_the_rpm_is_installed_by_rpm_and_its_agent_heartbeats(tmp_path: Path, early: Manager) -> None:
    """The root's files are Debian's, and rpm's database of it is empty: so what the package needs is looked up here."""
    built = package("agent", "rpm")
    needs = _rpm("-qpR", built).split()
    assert {"libc.so.6(GLIBC_2.28)(64bit)", "/usr/sbin/useradd", "/usr/bin/setpriv"} <= set(needs)
    with debian("bookworm", tmp_path / "root") as root:
        for path in ("/usr/sbin/useradd", "/usr/bin/setpriv"):
            root.run("test", "-x", path)
        before = root.files()
        _rpm("--root", root.path, "--nodeps", "-i", built)
        assert _rpm("--root", root.path, "-q", "plimsoll-agent").strip() == f"plimsoll-agent-{RELEASE}-1.x86_64"
        assert _rpm("--root", root.path, "-V", "--nodeps", "plimsoll-agent", expect=None).count("5") == 0
        activate(root, early, "rpm-agent")
        with running_agent(root):
            assert early.computer("rpm-agent")["agentVersion"] == RELEASE
        _rpm("--root", root.path, "-e", "plimsoll-agent")
        left = {path for path in root.files() if path not in before and not path.startswith(f"{STATE}/")}
        # rpm knows no purge: identity and user stay, as docs/packages.md says.
        assert left == {STATE} | ({"/var/opt"} - set(before))
        assert "plimsoll-agent" in (root.path / "etc/passwd").read_text()


def _rpm(*words: str | Path, expect: int | None = 0) -> str:
    done = subprocess.run(
        ["rpm", "--nosignature", "--dbpath", "/var/lib/rpm", *words], capture_output=True, text=True, timeout=170
    )
    assert expect is None or done.returncode == expect, f"rpm {words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_newer_package_takes_over_and_an_older_one_does_not(tmp_path: Path, early: Manager) -> None:
    newer = package("agent", "deb", "12.0.7")
    with debian("bookworm", tmp_path / "root") as root:
        root.run("dpkg", "-i", root.put(package("agent", "deb")))
        activate(root, early, "upgraded-agent")
        key = (root.path / STATE[1:] / "key.pem").read_bytes()
        root.run("dpkg", "-i", root.put(newer))
        assert current(root) == "versions/12.0.7"
        assert [path.name for path in (root.path / CODE[1:] / "versions").iterdir()] == ["12.0.7"]
        assert (root.path / STATE[1:] / "key.pem").read_bytes() == key
        with running_agent(root):
            eventually(
                lambda: early.computers()["upgraded-agent"]["agentVersion"] == "12.0.7", "the new release heartbeats"
            )
        # A version that a manager's upgrade brought is newer than the package that is installed next.
        tree = root.path / CODE[1:] / "versions"
        subprocess.run(["cp", "-a", tree / "12.0.7", tree / "12.10.0"], check=True)
        root.run("ln", "-sfnT", "versions/12.10.0", f"{CODE}/current")
        said = root.run("dpkg", "-i", root.put(package("agent", "deb"))).stdout
        assert "12.10.0" in said and "stays in use" in said
        assert current(root) == "versions/12.10.0"
        root.run("dpkg", "-r", "plimsoll-agent")
        assert not (root.path / CODE[1:]).exists()


def test_the_agents_user_cannot_change_what_the_package_brought(tmp_path: Path) -> None:
    """An upgrade by the agent adds versions; what root installed stays as it is, so root may go on trusting it."""
    with debian("bookworm", tmp_path / "root") as root:
        root.run("dpkg", "-i", root.put(package("agent", "deb")))
        uid, gid = (root.run("id", flag, "plimsoll-agent").stdout.strip() for flag in ("-u", "-g"))
        agent = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]
        tree = f"{CODE}/versions/{RELEASE}"
        for refused in (
            ["mv", tree, f"{CODE}/versions/elsewhere"],
            ["rm", "-rf", f"{tree}/lib"],
            ["touch", f"{tree}/bin/python3._pth"],
            ["mv", f"{CODE}/launcher.sh", f"{CODE}/gone"],
            ["touch", "/usr/bin/plimsoll-agent"],
        ):
            root.run(*agent, "sh", "-c", '"$@" 2>/dev/null', "sh", *refused, expect=1)
        root.run(*agent, "cp", "-a", tree, f"{CODE}/versions/12.0.8")
        root.run(*agent, "ln", "-s", "versions/12.0.8", f"{CODE}/current.new")
        root.run(*agent, "mv", "-fT", f"{CODE}/current.new", f"{CODE}/current")
        assert current(root) == "versions/12.0.8"


def test_a_manager_package_is_installed_manages_and_goes(tmp_path: Path) -> None:
    with debian("bookworm", tmp_path / "root") as root:
        before = root.files()
        root.run("dpkg", "-i", root.put(package("manager", "deb")))
        assert root.run("dpkg", "--audit").stdout == ""
        gui, heartbeat = free_ports(2)
        ports = ["--gui-port", str(gui), "--heartbeat-port", str(heartbeat)]
        made = json.loads(root.run("plimsoll", "manager", "init", "--name", "localhost", *ports, "--json").stdout)
        assert made["activation_token"].startswith("pt1.")
        show = ["-action", "settlsprotocol", "-MinimumTLSProtocol", "ShowValue"]
        # On a stopped manager's home, and on the running one's socket.
        assert root.run("/opt/dsm/dsm_c", *show).stdout == "TLSv1.2\n"
        from tests.support.process import service

        with service(root.command("plimsoll", "manager", "run")):
            assert root.run("/opt/dsm/dsm_c", *show).stdout == "TLSv1.2\n"
            assert s_client_early(gui).refused_by_version
            assert "LAST SEEN" in root.run("plimsoll", "computers", "list").stdout
        owners = {path.stat().st_uid for path in (root.path / "opt/plimsoll").rglob("*")}
        assert owners == {int(root.run("id", "-u", "plimsoll").stdout)}
        root.run("dpkg", "-r", "plimsoll-manager")
        assert (root.path / "opt/plimsoll/plimsoll.db").exists()
        assert not (root.path / "opt/plimsoll-manager").exists()
        root.run("dpkg", "-P", "plimsoll-manager")
        after = root.files()
        assert {path for path in after if path not in before} == set()
        assert {path: what for path, what in before.items() if after.get(path) != what} == {}


@pytest.mark.parametrize("kind", ["agent", "manager"])
def test_every_module_in_a_tree_can_be_loaded_and_nothing_of_the_host_is(kind: str, tmp_path: Path) -> None:
    """Modules of the standard library were left out: what is carried must not ask for one of them."""
    tree = _unpacked(kind, tmp_path)
    script = tmp_path / "load.py"
    script.write_text(
        "import importlib, pkgutil, sys\n"
        "import plimsoll, cryptography.x509, msgspec, tuf.ngclient, securesystemslib.signer\n"
        "assert not [path for path in sys.path if not path.startswith(sys.argv[1])], sys.path\n"
        "for module in pkgutil.walk_packages(plimsoll.__path__, 'plimsoll.'):\n"
        "    if not module.name.endswith('__main__') and '.migrations' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('plimsoll.')}))\n"
    )
    misleading = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/usr", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([tree / "bin/python3", script, tree], capture_output=True, text=True, env=misleading)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert ("manager" in loaded) == (kind == "manager")
    assert {"agent", "relay", "net", "tls"} <= loaded


@pytest.mark.parametrize("kind", ["agent", "manager"])
def test_nothing_in_a_tree_needs_a_newer_glibc_than_2_28(kind: str, tmp_path: Path) -> None:
    files = elf.elf_files(_unpacked(kind, tmp_path))
    assert len(files) > 3
    assert {str(found.path): found.glibc for path in files if (found := elf.needs(path)).glibc > (2, 28)} == {}


def _unpacked(kind: str, place: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", package(kind, "deb"), place / "package"], check=True)
    return next(path.parent.parent for path in (place / "package").rglob("bin/python3"))


def test_who_is_here() -> None:
    """No test of this file may leave users of packages on this machine."""
    assert not {entry.pw_name for entry in pwd.getpwall()} & {"plimsoll", "plimsoll-agent"}
