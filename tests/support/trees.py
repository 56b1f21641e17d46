"""Releases for tests: small trees whose interpreter is the one that runs the tests, with `plimsoll` from the source.

What is different in each is the release that it says it is, and how it misbehaves. All the rest is real: processes that
start, switch, fail and go back under the real launcher.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

from tests.support.process import REPOSITORY, Service

LAUNCHER = REPOSITORY / "src" / "plimsoll" / "agent" / "launcher.sh"

#: How a tree can misbehave: as the agent, and as the probe that is asked before it is installed.
GOOD, CRASHES, HANGS, DEAF, CAPPED, NO_START, LIES = "good", "crashes", "hangs", "deaf", "capped", "no start", "lies"

_CAP = "PLIMSOLL_TEST_CAPPED=1; export PLIMSOLL_TEST_CAPPED"
_AS_AGENT = {
    GOOD: "",
    CRASHES: "echo 'this release crashes' >&2; exit 7",
    HANGS: "exec sleep 600",
    DEAF: _CAP,
    CAPPED: _CAP,
    NO_START: "exit 126",
    LIES: "",
}
_AS_PROBE = {CAPPED: _CAP, NO_START: "exit 126"}

_SITE = """\
import os, shutil, sys
import plimsoll
plimsoll.RELEASE = {release!r}
if os.environ.get("PLIMSOLL_TEST_CRASHES") == {release!r} and "plimsoll.agent" in sys.orig_argv:
    # What this host has and no other: the release cannot run on it.
    os.write(2, b"this release does not run here\\n")
    os._exit(7)
if os.environ.get("PLIMSOLL_TEST_PACKAGES"):
    from pathlib import Path
    from plimsoll.agent.software import resident
    async def fetch(software, session, order, folder):
        return Path(shutil.copy(Path(os.environ["PLIMSOLL_TEST_PACKAGES"]) / order.target, folder))
    resident.fetch_package = fetch
if os.environ.get("PLIMSOLL_TEST_CAPPED"):
    # A TLS library that knows nothing newer than TLS 1.2, as an old distribution's.
    from plimsoll.net import contexts
    from plimsoll.tls.versions import Version
    unlimited = contexts.set_version_range
    contexts.set_version_range = lambda context, minimum, _=None: unlimited(context, minimum, Version.TLS1_2)
if os.environ.get("PLIMSOLL_TEST_KILL"):
    from tests.support import power_cut
    power_cut.arm(os.environ["PLIMSOLL_TEST_KILL"])
"""


def files(version: str, behaviour: str = GOOD) -> dict[str, str]:
    """The files of a tree by their names in it."""
    python = f"""\
#!/bin/sh
tree=$(cd "$(dirname "$0")/.." && pwd -P)
PYTHONPATH=$tree/lib:{REPOSITORY}
export PYTHONPATH
case " $* " in
*" plimsoll.agent "*)
{_AS_AGENT[behaviour] or ":"}
;;
*)
{_AS_PROBE.get(behaviour, ":")}
;;
esac
exec {sys.executable} "$@"
"""
    says = "9.9.9" if behaviour == LIES else version
    return {"bin/python3": python, "lib/sitecustomize.py": _SITE.format(release=says)}


def tree(versions: Path, version: str, behaviour: str = GOOD) -> Path:
    """A tree as it is installed."""
    for name, text in files(version, behaviour).items():
        path = versions / version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
    return versions / version


def package(folder: Path, version: str, behaviour: str = GOOD, *, inside: str = "") -> Path:
    """A tar archive of such a tree, below the folder `inside` it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"plimsoll-agent-{version}-{behaviour.replace(' ', '-')}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files(version, behaviour).items():
            member = tarfile.TarInfo(f"{inside or f'plimsoll-agent-{version}'}/{name}")
            member.size = len(text.encode())
            member.mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def install(prefix: Path, version: str, behaviour: str = GOOD) -> Path:
    """A host with one release, which is current."""
    tree(prefix / "versions", version, behaviour)
    (prefix / "current").unlink(missing_ok=True)
    (prefix / "current").symlink_to(Path("versions") / version)
    return prefix


def launched(prefix: Path, home: Path, **environment: str) -> Service:
    """The agent of that host, started as its service does it."""
    return Service(["/bin/sh", LAUNCHER, prefix, home], env={**os.environ, **environment})
