"""Pinned wheels for the packages' interpreter: the very releases and digests of requirements/runtime.txt."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

from packages import cache, toolchain
from packages.cache import PackagesError

RUNTIME = Path(__file__).resolve().parents[1] / "requirements" / "runtime.txt"

#: What an agent needs at run time; a pin that is missing from runtime.txt is an error, not a surprise on a host.
AGENT = ("cffi", "cryptography", "msgspec", "securesystemslib", "tuf", "urllib3")

#: The glibc floors that wheels state in their names, up to the one that we promise.
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")

#: What no program reads: stubs, C sources, tests, and what pip wrote for itself.
_LEFT_OUT = re.compile(
    r"\.(pyi|pxd|pyx|c|h|a)$|(^|/)(tests?|testing|test_data)/|/(RECORD|WHEEL|INSTALLER|REQUESTED)$|py\.typed$"
)


def pins(text: str, names: Collection[str] | None = None) -> str:
    """The blocks of a requirements file with hashes, of these names or all. Raises PackagesError for a missing one."""
    blocks = re.findall(r"^[a-z0-9][^\n]*==(?:[^\n]*\\\n)*[^\n]*\n", text, re.MULTILINE)
    found = {block.partition("==")[0].partition("[")[0]: block for block in blocks}
    wanted = sorted(found if names is None else names)
    if missing := [name for name in wanted if name not in found]:
        raise PackagesError(f"{RUNTIME.name} has no pin for {', '.join(missing)}; run `make lock`")
    return "".join(found[name] for name in wanted)


def fetch(names: Collection[str] | None) -> list[Path]:
    """The wheels of these packages (None for all), from the cache or by pip, which checks their digests."""
    wanted = pins(RUNTIME.read_text(), names)
    # Markers such as those for Windows mean nothing to `pip download` for another platform than its own.
    folder = cache.root() / "wheels" / cache.digest_of([wanted, " ".join(PLATFORMS)])
    with cache.alone("wheels"):
        if not folder.exists():
            cache.say(f"fetching {wanted.count('==')} wheels")
            with cache.appearing(folder) as fresh:
                _download(wanted, fresh)
    return sorted(folder.glob("*.whl"))


def _download(wanted: str, into: Path) -> None:
    (into / "wanted.txt").write_text(wanted)
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--python-version", "3.11", "--implementation", "cp"]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_{toolchain.MACHINE}"]
    for abi in ("cp311", "abi3", "none"):
        command += ["--abi", abi]
    done = subprocess.run(
        [*command, "-d", str(into), "-r", str(into / "wanted.txt")], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise PackagesError(f"pip cannot fetch the pinned wheels: {done.stderr.strip()[-600:]}")


def unpack(wheels: Collection[Path], into: Path) -> None:
    """Lays the wheels' packages side by side, without what no program reads."""
    into.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/") or _LEFT_OUT.search(name) or ".data/" in name:
                    continue
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, target.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
