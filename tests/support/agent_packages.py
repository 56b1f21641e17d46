"""Small real packages of an agent: .deb and .rpm whose dsa_control starts this repository's code with this Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HOME = "/var/opt/plimsoll-agent"

_CONTROL = """#!/bin/sh
# {note}
PLIMSOLL_AGENT_HOME={home} exec {python} -P -m plimsoll.agent.dsa_control "$@"
"""

_SPEC = """
%define _build_id_links none
%define __os_install_post %{{nil}}
Name: plimsoll-agent
Version: {version}
Release: 1
Summary: a test's agent
License: Apache-2.0
BuildArch: {arch}
AutoReqProv: no
%description
A test's agent.
%files
%attr(0755, root, root) /opt/ds_agent/dsa_control
"""


def _tree(folder: Path, version: str) -> Path:
    tree = folder / f"tree-{version}"
    control = tree / "opt" / "ds_agent" / "dsa_control"
    control.parent.mkdir(parents=True)
    control.write_text(_CONTROL.format(note=f"release {version}", home=HOME, python=sys.executable))
    control.chmod(0o755)
    return tree


def deb(folder: Path, version: str) -> bytes:
    """A package for dpkg."""
    tree = _tree(folder, version)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        f"Package: plimsoll-agent\nVersion: {version}\nArchitecture: amd64\nMaintainer: tests <t@example.com>\n"
        "Description: a test's agent\n"
    )
    out = folder / f"plimsoll-agent_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, out], check=True, capture_output=True)
    shutil.rmtree(tree)
    return out.read_bytes()


def rpm(folder: Path, version: str) -> bytes:
    """A package for rpm."""
    tree = _tree(folder, version)
    spec = folder / f"agent-{version}.spec"
    spec.write_text(_SPEC.format(version=version, arch="x86_64"))
    top = folder / f"rpm-{version}"
    command: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--target", "x86_64"]
    # The build's own root is filled before: there is nothing to compile.
    subprocess.run([*command, "--buildroot", tree, spec], check=True, capture_output=True)
    found = next(top.rglob("*.rpm"))
    return found.read_bytes()
