"""From a tree to what administrators install: .deb and .rpm by nfpm, and the archive that software upgrades carry.

The same inputs give the same bytes: every file has the time of the commit, lists are in order, and nothing says when
or where it was made.
"""

from __future__ import annotations

import datetime
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.architecture.imports import SOURCE

from packages import cache, toolchain
from packages.cache import PackagesError
from packages.tree import FILES

REPOSITORY = SOURCE.parent

#: Of nfpm's names for architectures, Debian's and rpm's, by the machine's own.
ARCHITECTURES = {"x86_64": ("amd64", "amd64", "x86_64")}

#: A package of the same release that was made anew for its packaging alone gets the next number.
PACKAGE_RELEASE = "1"


@dataclass(frozen=True)
class Package:
    """What a package is called, where its tree goes (`@VERSION@` stands for the release), and what lies around it."""

    name: str
    description: str
    folder: str
    unit: str
    config: str
    links: dict[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    compression: str = "xz"
    kind: str = "agent"


AGENT = Package(
    name="plimsoll-agent",
    description=(
        "Agent and relay of Plimsoll\n"
        "Plimsoll raises the TLS floor of a whole fleet without cutting anyone off.\n"
        "This is the part on each computer; a computer is a relay when it is activated as one.\n"
        "It brings its own interpreter and TLS library and needs neither of the host."
    ),
    folder="/opt/plimsoll-agent/versions/@VERSION@",
    unit="plimsoll-agent.service",
    config="/etc/plimsoll-agent/agent.conf",
    commands=("plimsoll-agent", "dsa_control"),
    links={"/opt/ds_agent/dsa_control": "/usr/bin/dsa_control"},
    files={"/opt/plimsoll-agent/launcher.sh": SOURCE / "plimsoll" / "agent" / "launcher.sh"},
)
MANAGER = Package(
    name="plimsoll-manager",
    description=(
        "Manager of Plimsoll\n"
        "Plimsoll raises the TLS floor of a whole fleet without cutting anyone off, proves it by handshake, and\n"
        "can take it back. This is the control plane, with its commands plimsoll and dsm_c.\n"
        "It brings its own interpreter, TLS library and database engine and needs none of the host."
    ),
    folder="/opt/plimsoll-manager",
    unit="plimsoll-manager.service",
    config="/etc/plimsoll-manager/manager.conf",
    commands=("plimsoll", "dsm_c"),
    links={"/opt/dsm/dsm_c": "/usr/bin/dsm_c"},
    compression="gzip",  # a sixth larger than with xz, and made in a fifth of the time
    needs={"deb": ("zlib1g",), "rpm": ("libz.so.1()(64bit)",)},
    kind="manager",
)


def commit_time() -> int:
    """SOURCE_DATE_EPOCH if it is set, else when the last commit was made."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], check=False, capture_output=True, text=True, cwd=REPOSITORY
    )
    if done.returncode or not done.stdout.strip():
        raise PackagesError("set SOURCE_DATE_EPOCH: this is no git clone that could say when its last commit was made")
    return int(done.stdout)


def settle(tree: Path, epoch: int) -> None:
    """Gives every file and folder one time and plain permissions."""
    for path in [tree, *sorted(tree.rglob("*"))]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def archive(tree: Path, target: Path, epoch: int) -> None:
    """The tree as .tar.gz, its folder named as the file is."""
    top = target.name.partition("-linux-")[0]
    partial = target.with_name(f".{target.name}.part")
    with (
        partial.open("wb") as stream,
        gzip.GzipFile("", "wb", 9, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in [tree, *sorted(tree.rglob("*"))]:
            entry = tar.gettarinfo(path, str(Path(top) / path.relative_to(tree)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = epoch
            if entry.isreg():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    partial.replace(target)


def install_packages(
    package: Package, tree: Path, release: str, epoch: int, out: Path, packagers: Iterable[str]
) -> None:
    """The .deb or .rpm of a tree, or both, in `out`. Raises PackagesError."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-packages-") as folder:
        work = Path(folder)
        contents = _contents(package, tree, release, work)
        scripts = _scripts(package, release, work)
        settle(work / "around", epoch)

        def pack(packager: str) -> None:
            config = work / f"{packager}.json"
            # JSON is YAML.
            config.write_text(json.dumps(_config(package, release, epoch, contents, scripts, packager), indent=2))
            _nfpm(config, packager, out / file_name(package, release, packager), epoch)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(pack, packagers))


def file_name(package: Package, release: str, packager: str) -> str:
    """As the systems' own tools name packages."""
    _, debian, redhat = ARCHITECTURES[toolchain.MACHINE]
    if packager == "archive":
        return f"{package.name}-{release}-linux-{toolchain.MACHINE}.tar.gz"
    if packager == "deb":
        return f"{package.name}_{release}-{PACKAGE_RELEASE}_{debian}.deb"
    return f"{package.name}-{release}-{PACKAGE_RELEASE}.{redhat}.rpm"


def _contents(package: Package, tree: Path, release: str, work: Path) -> list[dict[str, Any]]:
    around = work / "around"
    around.mkdir()
    kind = FILES / package.kind
    folder = package.folder.replace("@VERSION@", release)
    contents: list[dict[str, Any]] = [{"src": str(tree), "dst": folder, "type": "tree"}]

    def add(source: Path, target: str, kind: str = "", mode: int = 0o644) -> None:
        copied = around / target.strip("/").replace("/", "_")
        shutil.copyfile(source, copied)
        entry: dict[str, Any] = {"src": str(copied), "dst": target, "file_info": {"mode": mode}}
        contents.append({**entry, "type": kind} if kind else entry)

    for command in package.commands:
        add(kind / "command.sh", f"/usr/bin/{command}", mode=0o755)
    for target, source in package.files.items():
        add(source, target, mode=0o755)
    add(kind / package.unit, f"/usr/lib/systemd/system/{package.unit}")
    add(kind / Path(package.config).name, package.config, "config|noreplace")
    add(REPOSITORY / "docs" / "packages.md", f"/usr/share/doc/{package.name}/README.md")
    add(REPOSITORY / "LICENSE", f"/usr/share/doc/{package.name}/copyright")
    contents += [{"src": there, "dst": link, "type": "symlink"} for link, there in package.links.items()]
    # rpm takes away only folders that a package says are its own.
    own = {str(Path(path).parent) for path in (package.config, *package.links)} | {f"/usr/share/doc/{package.name}"}
    contents += [{"dst": path, "type": "dir", "file_info": {"mode": 0o755}} for path in sorted(own)]
    return contents


def _config(
    package: Package, release: str, epoch: int, contents: list[dict[str, Any]], scripts: dict[str, str], packager: str
) -> dict[str, Any]:
    glibc = ".".join(map(str, toolchain.GLIBC))
    needs = {
        "deb": [f"libc6 (>= {glibc})", "passwd", "util-linux"],
        "rpm": [f"libc.so.6(GLIBC_{glibc})(64bit)", "/usr/sbin/useradd", "/usr/bin/setpriv"],
    }
    return {
        "name": package.name,
        "arch": ARCHITECTURES[toolchain.MACHINE][0],
        "platform": "linux",
        "version": release,
        "version_schema": "none",
        "release": PACKAGE_RELEASE,
        "section": "admin",
        "priority": "optional",
        "maintainer": "The Plimsoll maintainers <maintainers@plimsoll.invalid>",
        "description": package.description,
        "license": "Apache-2.0",
        "depends": [*needs[packager], *package.needs.get(packager, ())],
        "contents": contents,
        "scripts": scripts,
        "mtime": _stamp(epoch),
        "deb": {"compression": package.compression},
        "rpm": {
            "group": "System Environment/Daemons",
            "compression": package.compression,
            "buildhost": "plimsoll",
            "summary": package.description.partition("\n")[0],
        },
    }


def _scripts(package: Package, release: str, work: Path) -> dict[str, str]:
    """What the package manager runs: each is whole, since functions cannot be shared between them."""
    kind = FILES / package.kind
    shared = (kind / "functions.sh").read_text().replace("@VERSION@", release)
    scripts = {}
    for when in ("postinstall", "preremove", "postremove"):
        path = work / when
        path.write_text("#!/bin/sh\nset -eu\n" + shared + "\n" + (kind / f"{when}.sh").read_text())
        path.chmod(0o755)
        scripts[when] = str(path)
    return scripts


def _stamp(epoch: int) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nfpm(config: Path, packager: str, target: Path, epoch: int) -> None:
    program = Path(sys.executable).with_name("nfpm")
    if not program.exists():
        raise PackagesError("nfpm is missing: `make packages` installs requirements/packages.txt first")
    partial = target.with_name(f".{target.name}.part{target.suffix}")
    done = subprocess.run(
        [str(program), "package", "-f", str(config), "-p", packager, "-t", str(partial)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    if done.returncode:
        raise PackagesError(f"nfpm could not make {target.name}: {(done.stderr or done.stdout).strip()[-600:]}")
    partial.replace(target)
    cache.say(f"made {target.name}, {target.stat().st_size / 1e6:.1f} MB")
