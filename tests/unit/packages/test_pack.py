"""Names, scripts and units of the packages."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from packages import pack
from packages.pack import AGENT, MANAGER, Package
from packages.tree import FILES

BOTH = pytest.mark.parametrize("package", [AGENT, MANAGER], ids=lambda package: package.name)


def test_files_are_named_as_the_systems_name_them() -> None:
    assert pack.file_name(AGENT, "12.0.0", "deb") == "plimsoll-agent_12.0.0-1_amd64.deb"
    assert pack.file_name(AGENT, "12.0.0", "rpm") == "plimsoll-agent-12.0.0-1.x86_64.rpm"
    assert pack.file_name(AGENT, "12.0.0", "archive") == "plimsoll-agent-12.0.0-linux-x86_64.tar.gz"


@BOTH
def test_every_script_is_plain_posix_shell(package: Package, tmp_path: Path) -> None:
    paths = [Path(path) for path in pack._scripts(package, "12.0.0", tmp_path).values()]
    paths += [FILES / package.kind / "command.sh", FILES / "tree-launcher.sh"]
    assert "@VERSION@" not in "".join(path.read_text() for path in paths)
    # Each script has all names and functions, and uses some.
    done = subprocess.run(["shellcheck", "-s", "sh", "-e", "SC2034,SC2317", *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@BOTH
def test_a_unit_is_one_that_systemd_reads_and_gives_little_away(package: Package, tmp_path: Path) -> None:
    """systemd's own checker; no systemd runs here."""
    root = tmp_path / "root"
    unit = root / "usr/lib/systemd/system" / package.unit
    unit.parent.mkdir(parents=True)
    unit.write_bytes((FILES / package.kind / package.unit).read_bytes())
    for program in re.findall(r"^Exec\w+=(\S+)", unit.read_text(), re.M):
        path = root / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    for target in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (unit.parent / f"{target}.target").write_text("[Unit]\nDescription=there on every system\n")
    verify: list[str | Path] = [
        "systemd-analyze",
        f"--root={root}",
        "--man=no",
        "--recursive-errors=no",
        "verify",
        unit,
    ]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    exposure: list[str | Path] = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", unit]
    done = subprocess.run(exposure, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_archive_of_a_tree_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    made = []
    for attempt in ("one", "two"):
        tree = tmp_path / attempt / "tree"
        (tree / "bin").mkdir(parents=True)
        (tree / "bin" / "python3").write_text("#!/bin/sh\n")
        (tree / "bin" / "python3").chmod(0o700 if attempt == "one" else 0o755)
        (tree / "a").symlink_to("bin")
        pack.settle(tree, 1_700_000_000)
        target = tmp_path / attempt / "plimsoll-agent-12.0.0-linux-x86_64.tar.gz"
        pack.archive(tree, target, 1_700_000_000)
        made.append(target.read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "two" / "plimsoll-agent-12.0.0-linux-x86_64.tar.gz") as archive:
        entry = archive.getmember("plimsoll-agent-12.0.0/bin/python3")
        assert (entry.mode, entry.uid, entry.mtime) == (0o755, 0, 1_700_000_000)


def test_the_time_is_the_commits_or_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert pack.commit_time() == 1_700_000_000
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert pack.commit_time() > 1_600_000_000


def test_root_runs_nothing_of_a_version_before_it_is_the_agents_user(tmp_path: Path) -> None:
    """The command as root, with a `setpriv` that only tells what it was asked for."""
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, body in {"setpriv": 'echo "$@"', "id": 'case "$*" in -u) echo 0 ;; *) echo 77 ;; esac'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    command = tmp_path / "plimsoll-agent"
    command.write_bytes((FILES / "agent" / "command.sh").read_bytes())
    env = {"PATH": f"{tools}:/usr/bin:/bin", "PLIMSOLL_AGENT_HOME": str(tmp_path / "home")}
    done = subprocess.run(["sh", command, "status", "--json"], capture_output=True, text=True, env=env)
    expected = "--reuid=77 --regid=77 --clear-groups -- /opt/plimsoll-agent/current/bin/plimsoll-agent status --json\n"
    assert (done.returncode, done.stdout) == (0, expected)
    done = subprocess.run(["sh", command, "run"], capture_output=True, text=True, env=env)
    assert done.stdout.endswith(f"-- /opt/plimsoll-agent/launcher.sh /opt/plimsoll-agent {tmp_path / 'home'}\n")
