"""The interpreter that the packages carry: CPython with OpenSSL, zlib, SQLite and Expat linked in, built once.

What it is made of decides its name in the cache: the recipe below, the compiler's release, and the digests of Debian's
source packages. A cached one is used as it is, also without a network; `refresh` looks for newer sources first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packages import cache, toolchain
from packages.cache import PackagesError
from packages.sources import Archive, Source

RECIPES = Path(__file__).parent / "files" / "interpreter"

#: Debian's source packages, by the name under which the recipe uses them.
SOURCES = {"python": "python3.11", "openssl": "openssl", "zlib": "zlib", "sqlite": "sqlite3", "expat": "expat"}

#: What TLS 1.0 to 1.3, certificates and key files need stays; nothing here is about versions. No configuration file of
#: the host is read by itself: a policy made for the host's own OpenSSL must not decide what our ports serve.
OPENSSL_OPTIONS = RECIPES / "openssl.options"

#: Modules of the standard library that are compiled, as CPython's own Modules/Setup reads them. Static ones are part
#: of the program; shared ones are files of their own, which only the manager's package carries.
SETUP = RECIPES / "Setup.local"

SQLITE_FLAGS = (
    "-DSQLITE_THREADSAFE=1 -DSQLITE_DEFAULT_FOREIGN_KEYS=0 -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS5 "
    "-DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_OMIT_LOAD_EXTENSION"
)


@dataclass(frozen=True)
class Interpreter:
    """A built one: `folder` holds python3, lib/ (the standard library's sources) and dynload/ (the shared modules)."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "python3"

    @property
    def versions(self) -> dict[str, str]:
        """What it was made of: package to version, the compiler among them."""
        told: dict[str, str] = json.loads((self.folder / "versions.json").read_text())
        return told


def recipe() -> str:
    """The digest of how it is built; sources apart."""
    here = Path(__file__).parent
    parts = [here / "interpreter.py", here / "toolchain.py", OPENSSL_OPTIONS, SETUP, RECIPES / "expat_config.h"]
    return cache.digest_of([*parts, toolchain.version()])


def interpreter(*, refresh: bool = False) -> Interpreter:
    """The interpreter for this recipe: from the cache, or built (some minutes). Raises PackagesError."""
    with cache.alone("interpreter"):
        place = cache.root() / "interpreters" / recipe()
        latest = place / "latest"
        if latest.exists() and not refresh:
            return Interpreter(latest.resolve())
        archive = Archive(cache.root() / "archive")
        sources = {name: archive.fetch(package) for name, package in SOURCES.items()}
        built = place / cache.digest_of(source.digest for source in sources.values())
        if not built.exists():
            _build(sources, built)
        pointer = place / ".latest"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(built.name)
        pointer.replace(latest)
        return Interpreter(built)


def _build(sources: Mapping[str, Source], into: Path) -> None:
    cache.say("building the interpreter: " + ", ".join(f"{one.name} {one.version}" for one in sources.values()))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="plimsoll-packages-") as folder, cache.appearing(into) as result:
        build = _Build(Path(folder), sources)
        build.run()
        build.collect(result)
        versions = {one.name: one.version for one in sources.values()}
        (result / "versions.json").write_text(json.dumps({**versions, "ziglang": toolchain.version()}, indent=2))
    cache.say(f"built in {time.monotonic() - started:.0f} s")


class _Build:
    """One build in a folder of its own. Small libraries and CPython's configure go beside OpenSSL, which is longest."""

    def __init__(self, work: Path, sources: Mapping[str, Source]) -> None:
        self._work = work
        self._env = toolchain.install(work)
        self._tree = {name: source.unpack(work) for name, source in sources.items()}
        stamp = self._output(["dpkg-parsechangelog", "-STimestamp"], self._tree["python"])
        self._env["SOURCE_DATE_EPOCH"] = stamp.strip()
        self._libraries = work / "libraries"
        self._headers = work / "headers"
        self._libraries.mkdir()
        self._headers.mkdir()
        self._objects = work / "build"
        self._objects.mkdir()

    def run(self) -> None:
        jobs = str(os.cpu_count() or 2)
        with ThreadPoolExecutor(2) as pool:
            openssl = pool.submit(self._openssl, jobs)
            others = pool.submit(self._others)
            others.result()
            openssl.result()
        self._python(jobs)

    def _others(self) -> None:
        self._zlib()
        self._expat()
        self._configure_python()
        self._sqlite()

    def collect(self, result: Path) -> None:
        """Keeps what packages are made of: the program, the shared modules, the library's Python sources, licences."""
        shutil.copy2(self._objects / "python", result / "python3")
        dynload = result / "dynload"
        dynload.mkdir()
        for path in sorted((self._objects / "Modules").glob("*.so")):
            shutil.copy2(path, dynload / f"{path.name.partition('.')[0]}.so")
        shutil.copytree(self._tree["python"] / "Lib", result / "lib", ignore=shutil.ignore_patterns("__pycache__"))
        licences = result / "licences"
        licences.mkdir()
        for name, tree in self._tree.items():
            shutil.copy2(tree / "debian" / "copyright", licences / name)

    def _openssl(self, jobs: str) -> None:
        tree = self._tree["openssl"]
        options = [*OPENSSL_OPTIONS.read_text().split(), "--prefix=/usr", "--openssldir=/etc/ssl", "--libdir=lib"]
        tools = ["CC=zigcc", "AR=zigar", "RANLIB=zigranlib"]
        self._do(["./Configure", f"linux-{toolchain.MACHINE}", *options, *tools, *toolchain.C_FLAGS.split()], tree)
        self._do(["make", "-s", "build_generated"], tree)
        self._do(["make", "-s", f"-j{jobs}", "libcrypto.a", "libssl.a"], tree)
        for name in ("libcrypto.a", "libssl.a"):
            shutil.copy2(tree / name, self._libraries)
        shutil.copytree(tree / "include" / "openssl", self._headers / "openssl")

    def _zlib(self) -> None:
        tree = self._tree["zlib"]
        self._do(["./configure", "--static"], tree, CFLAGS=toolchain.C_FLAGS)
        self._do(["make", "-s", "libz.a"], tree)
        shutil.copy2(tree / "libz.a", self._libraries)
        for name in ("zlib.h", "zconf.h"):
            shutil.copy2(tree / name, self._headers)

    def _expat(self) -> None:
        tree = self._tree["expat"]
        tree = tree / "expat" if (tree / "expat").is_dir() else tree
        shutil.copyfile(RECIPES / "expat_config.h", tree / "expat_config.h")
        self._archive(
            "libexpat.a", [tree / "lib" / f"{name}.c" for name in ("xmlparse", "xmlrole", "xmltok")], f"-I{tree}"
        )
        for name in ("expat.h", "expat_external.h"):
            shutil.copy2(tree / "lib" / name, self._headers)

    def _sqlite(self) -> None:
        tree = self._tree["sqlite"]
        # The amalgamation is made from the tree by its own makefile, which needs a Tcl interpreter for it.
        single = self._work / "sqlite"
        single.mkdir()
        amalgamation = next(iter(tree.rglob("sqlite3.c")), None)
        if amalgamation is None:
            options = ["--disable-tcl", "--disable-readline", "-q"]
            self._do([str(tree / "configure"), *options], single, CFLAGS="-w", BUILD_CC="zigcc")
            self._do(["make", "-s", "sqlite3.c"], single)
            amalgamation = single / "sqlite3.c"
        self._archive("libsqlite3.a", [amalgamation], SQLITE_FLAGS)
        shutil.copy2(amalgamation.with_name("sqlite3.h"), self._headers)

    def _archive(self, name: str, files: Sequence[Path], flags: str) -> None:
        objects = []
        for path in files:
            objects.append(self._libraries / f"{path.stem}.o")
            command = ["zigcc", *toolchain.C_FLAGS.split(), *flags.split(), "-c", str(path), "-o", str(objects[-1])]
            self._do(command, path.parent)
        self._do(["zigar", "rcs", name, *(path.name for path in objects)], self._libraries)

    def _configure_python(self) -> None:
        (self._objects / "Modules").mkdir()
        (self._objects / "Modules" / "Setup.local").write_text(SETUP.read_text())
        options = ["--disable-test-modules", "--without-ensurepip", "--without-doc-strings", "--without-readline"]
        self._do(
            [str(self._tree["python"] / "configure"), "-q", "--build=x86_64-linux-gnu", "--prefix=/usr", *options],
            self._objects,
            CPPFLAGS=f"-I{self._headers}",
            LDFLAGS=f"-L{self._libraries} -s -Wl,-z,relro -Wl,-z,now",
            CFLAGS=toolchain.C_FLAGS,
            OPT="-DNDEBUG -fwrapv",
        )

    def _python(self, jobs: str) -> None:
        program = "LINKFORSHARED=-pie -Xlinker -export-dynamic"
        self._do(["make", "-s", f"-j{jobs}", "Modules/_decimal/libmpdec/libmpdec.a"], self._objects)
        self._do(["make", "-s", f"-j{jobs}", program, "python", "oldsharedmods"], self._objects)

    def _do(self, command: Sequence[str], folder: Path, **env: str) -> None:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=folder, env={**self._env, **env}
        )
        if done.returncode:
            log = cache.root() / "failed.log"
            log.write_text(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
            tail = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise PackagesError(f"{command[0]} failed in {folder.name}; all of it is in {log}\n{tail}")

    def _output(self, command: Sequence[str], folder: Path) -> str:
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=self._env).stdout
