"""The self-contained tree of a release: interpreter, standard library, wheels, our own code, and what starts them.

::

    bin/python3          the interpreter; bin/python3._pth says where its modules are, and nothing else is searched
    bin/plimsoll-agent   and the other commands: shell scripts of two lines
    lib/stdlib.zip       the standard library as byte code
    lib/dynload/         those of its compiled modules that are not part of the interpreter
    lib/site/            wheels and `plimsoll`
    share/               licences, and build.json: what it was made of

It runs wherever it lies, reads no PYTHON* variable and nothing of the host's own Python.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.imports import SOURCE, modules

from packages import cache, toolchain, wheels
from packages.cache import PackagesError
from packages.closure import closure
from packages.interpreter import Interpreter

FILES = Path(__file__).parent / "files"

#: Modules of the standard library that no program of ours loads, and those that an agent never does.
LEFT_OUT, LEFT_OUT_OF_AGENTS = FILES / "library" / "left-out", FILES / "library" / "left-out-of-agents"

#: Compiled modules in files of their own that agents carry too: Python's own libraries import them in passing.
DYNLOAD_OF_AGENTS = frozenset({"_csv", "_pickle", "_zoneinfo"})

#: Libraries of the system that files may ask for: glibc's own, and the compilers' that every system has.
SYSTEM_LIBRARIES = frozenset((FILES / "library" / "of-the-system").read_text().split())


@dataclass(frozen=True)
class Recipe:
    """What a tree is for: its commands (name to module), the wheels and the modules of ours that it carries.

    `libraries` are those of the host that it needs beside glibc's; its packages depend on them.
    """

    name: str
    commands: dict[str, str]
    wheels: tuple[str, ...] | None
    whole: bool
    libraries: frozenset[str] = frozenset()

    def modules(self) -> set[str]:
        """Ours, by dotted name: all but what tests bring, or what can be reached from the daemons and commands."""
        if self.whole:
            return set(modules())
        daemons = [name for name in modules() if name.startswith(("plimsoll.agent", "plimsoll.relay"))]
        return closure([*daemons, *self.commands.values()])


AGENT = Recipe(
    "agent",
    {"plimsoll-agent": "plimsoll.cli.plimsoll_agent", "dsa_control": "plimsoll.agent.dsa_control"},
    wheels.AGENT,
    whole=False,
)
MANAGER = Recipe(
    "manager",
    {"plimsoll": "plimsoll.cli.main", "dsm_c": "plimsoll.cli.dsm_c"},
    None,
    whole=True,
    libraries=frozenset({"libz.so.1"}),  # of PostgreSQL's client library
)


def build(recipe: Recipe, interpreter: Interpreter, release: str, into: Path) -> None:
    """Fills the folder with the tree of a release. Raises PackagesError for one that would not run everywhere."""
    shutil.copytree(_base(recipe, interpreter), into)
    site = into / "lib" / "site"
    _our_code(recipe, release, site)
    _compile(interpreter, site / "plimsoll", "plimsoll", optimize=0, keep=recipe.whole)
    _commands(recipe, into / "bin")
    told = json.loads((into / "share" / "build.json").read_text())
    (into / "share" / "build.json").write_text(json.dumps({"release": release, **told}, indent=2) + "\n")
    _check(into, SYSTEM_LIBRARIES | recipe.libraries)


def _base(recipe: Recipe, interpreter: Interpreter) -> Path:
    """All of a tree but our own code, which is slow to compile and seldom changes: from the cache, or made."""
    here = Path(__file__)
    parts = [here, here.with_name("wheels.py"), here.with_name("compile_tree.py"), *sorted(FILES.glob("library/*"))]
    pins = wheels.pins(wheels.RUNTIME.read_text(), recipe.wheels)
    made = (
        cache.root()
        / "trees"
        / cache.digest_of([interpreter.folder.parent.name, interpreter.folder.name, recipe.name, pins, *parts])
    )
    with cache.alone("trees"):
        if not made.exists():
            carried = wheels.fetch(recipe.wheels)
            with cache.appearing(made) as fresh:
                _interpreter(recipe, interpreter, fresh)
                _standard_library(recipe, interpreter, fresh / "lib")
                site = fresh / "lib" / "site"
                wheels.unpack(carried, site)
                if recipe.whole:
                    _trim_for_manager(site)
                else:
                    _trim_for_agent(site)
                _compile(interpreter, site, "site", optimize=0, keep=recipe.whole)
                _share(interpreter, carried, fresh / "share")
    return made


def _interpreter(recipe: Recipe, interpreter: Interpreter, into: Path) -> None:
    (into / "bin").mkdir(parents=True)
    shutil.copy2(interpreter.program, into / "bin" / "python3")
    (into / "bin" / "python3._pth").write_text("../lib/stdlib.zip\n../lib/dynload\n../lib/site\n")
    modules = into / "lib" / "dynload"
    modules.mkdir(parents=True)
    for path in sorted((interpreter.folder / "dynload").glob("*.so")):
        if recipe.whole or path.stem in DYNLOAD_OF_AGENTS:
            shutil.copy2(path, modules)


def _standard_library(recipe: Recipe, interpreter: Interpreter, into: Path) -> None:
    work = into / "stdlib"
    out = {*LEFT_OUT.read_text().split(), *([] if recipe.whole else LEFT_OUT_OF_AGENTS.read_text().split())}
    shutil.copytree(interpreter.folder / "lib", work, ignore=lambda _, names: [name for name in names if name in out])
    # Of what a build says of itself only this is asked at run time; the rest tells of folders that are gone.
    settings = {"TZPATH": "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"}
    (work / f"_sysconfigdata__{toolchain.MACHINE}-linux-gnu.py").write_text(f"build_time_vars = {settings!r}\n")
    _compile(interpreter, work, "stdlib", optimize=2, keep=False)
    with zipfile.ZipFile(into / "stdlib.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(work.rglob("*.pyc")):
            # A date of its own would make every archive another one.
            entry = zipfile.ZipInfo(str(path.relative_to(work)), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    shutil.rmtree(work)


def _trim_for_manager(site: Path) -> None:
    """`psycopg` brings a compiled libpq, and needs `ctypes`, which is left out, only to look for one of the host."""
    path = site / "psycopg" / "pq" / "misc.py"
    text, asks = path.read_text(), "import ctypes.util\n"
    if text.count(asks) != 1:
        raise PackagesError(f"{path.name} of psycopg is not what it was: does it still ask for ctypes?")
    path.write_text(text.replace(asks, ""))


def _trim_for_agent(site: Path) -> None:
    """`cryptography` needs the compiled half of cffi only."""
    shutil.rmtree(site / "cffi", ignore_errors=True)


def _our_code(recipe: Recipe, release: str, site: Path) -> None:
    wanted = recipe.modules()
    for name in sorted(wanted):
        source = modules()[name]
        target = site / source.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        if source.name == "__init__.py":
            _other_files(source.parent, target.parent, recipe.whole or _reads_data(source.parent, wanted))
    marker = site / "plimsoll" / "__init__.py"
    text, count = re.subn(r'^RELEASE = ".*"$', f'RELEASE = "{release}"', marker.read_text(), flags=re.M)
    if count != 1:
        raise PackagesError('src/plimsoll/__init__.py has no line RELEASE = "…" any more')
    marker.write_text(text)


def _reads_data(folder: Path, wanted: set[str]) -> bool:
    """Whether a module of the folder that is carried names its folder `data`."""
    paths = {modules()[name] for name in wanted}
    return any('"data"' in path.read_text("utf-8") for path in folder.glob("*.py") if path in paths)


def _other_files(source: Path, target: Path, data: bool) -> None:
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        parts = relative.parts[:-1]
        if not path.is_file() or path.suffix in {".py", ".pyc"} or "__pycache__" in parts:
            continue
        inner = any((source.joinpath(*parts[:count]) / "__init__.py").exists() for count in range(1, len(parts) + 1))
        if not inner and (data or not parts):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / relative)


def _compile(interpreter: Interpreter, folder: Path, name: str, *, optimize: int, keep: bool) -> None:
    library = str(interpreter.folder / "lib")
    script = Path(__file__).with_name("compile_tree.py")
    arguments = [str(folder), name, str(optimize), "yes" if keep else "no"]
    done = subprocess.run(
        [str(interpreter.program), "-B", "-S", str(script), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONHOME": library, "PYTHONPATH": library, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise PackagesError(f"{name} cannot be compiled: {done.stderr.strip()[-600:]}")


def _commands(recipe: Recipe, folder: Path) -> None:
    text = (FILES / "tree-launcher.sh").read_text()
    for name, module in recipe.commands.items():
        script = folder / name
        script.write_text(text.replace("@MODULE@", module))
        script.chmod(0o755)


def _share(interpreter: Interpreter, carried: Iterable[Path], folder: Path) -> None:
    shutil.copytree(interpreter.folder / "licences", folder / "licences")
    shutil.copy2(SOURCE.parent / "LICENSE", folder / "licences" / "plimsoll")
    made_of = {
        "glibc": ".".join(map(str, toolchain.GLIBC)),
        "sources": interpreter.versions,
        "wheels": [path.name for path in carried],
    }
    (folder / "build.json").write_text(json.dumps(made_of, indent=2) + "\n")


def _check(tree: Path, libraries: frozenset[str]) -> None:
    from packages import elf  # only a build needs the reader of ELF files, which `make packages` installs

    if bad := elf.too_new(tree, toolchain.GLIBC):
        told = ", ".join(f"{one.path.relative_to(tree)} needs {'.'.join(map(str, one.glibc))}" for one in bad)
        raise PackagesError(f"files need a newer glibc than {'.'.join(map(str, toolchain.GLIBC))}: {told}")
    if missing := elf.foreign(tree, libraries):
        told = ", ".join(f"{path.relative_to(tree)} needs {library}" for path, library in missing)
        raise PackagesError(f"files need libraries that no host has to have: {told}")
