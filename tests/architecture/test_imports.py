"""The direction of imports: a folder imports what stands above it in the table of packages, nothing else."""

from __future__ import annotations

import pytest
from tests.architecture.imports import PACKAGE, Import, cycles, folder_of, imports, imports_of, modules, reached

#: What each folder may import of ours, beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "tls": set(),
    "fleet": {"tls"},
    "messages": {"tls", "fleet"},
    "net": {"tls"},
    "scan": {"tls", "net"},
    "manager": {"tls", "fleet", "messages", "net", "scan"},
    "relay": {"tls", "fleet", "messages", "net", "scan"},
    "agent": {"tls", "fleet", "messages", "net", "scan", "relay"},
    "remedy": {"fleet", "scan"},
    "testing": {"tls", "messages", "net"},
    "client": set(),
    "cli": {"tls", "fleet", "messages", "net", "scan", "manager", "relay", "agent", "testing", "client"},
}

WEB_FRAMEWORK = {"fastapi", "starlette", "uvicorn", "httptools", "pydantic", "jinja2", "multipart"}
DATABASE = {"sqlalchemy", "alembic", "psycopg"}

#: Which third-party packages each folder may import; the standard library always.
MAY_USE: dict[str, set[str]] = {
    "tls": set(),
    "fleet": set(),
    "messages": {"msgspec"},
    "net": set(),
    "scan": {"msgspec"},
    "relay": {"msgspec"},
    "agent": {"msgspec"},
    "testing": {"msgspec", "cryptography"},
    "client": {"httpx"},
    "cli": {"typer", "click", "rich", "httpx"},
}

#: The modules in which the manager may know its web framework and its database.
WEB_PLACES = ("plimsoll.manager.api", "plimsoll.manager.web", "plimsoll.manager.heartbeat", "plimsoll.manager.app")
STORE = ("plimsoll.manager.store",)
#: Runs as a child process of its own; the agent's only module that may import cryptography, inside its functions.
KEY_HELPER = "plimsoll.agent.keys"
#: A scan that only sweeps, or asks for versions and suites, never loads it.
CRYPTOGRAPHERS = (
    KEY_HELPER,
    "plimsoll.messages.release",
    "plimsoll.scan.certificates",
    "plimsoll.scan.keys13",
    "plimsoll.scan.shares",
)
#: Runs as a child process too; the agent's only module that may import the framework, inside its functions.
VERIFIER = "plimsoll.agent.software.child"
#: Signs and checks bundles of evidence; neither the resident agent nor `plimsoll scan` loads it.
SIGNER = "plimsoll.scan.proofs"
#: The one module that may import the library which writes CycloneDX, inside its functions.
BILL_WRITER = "plimsoll.scan.reports.cbom"
#: What stands beside `rest` in `api` is the frame that the doors of 4119 share: who asks, bounds, errors, assembly.
DOORS = (
    "plimsoll.manager.api.rest",
    "plimsoll.manager.api.soap",
    "plimsoll.manager.web",
    "plimsoll.manager.heartbeat",
)
FRAME = "plimsoll.manager.api"


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def told(found: list[Import]) -> str:
    return "\n".join(str(one) for one in found)


def test_every_folder_stands_in_the_table() -> None:
    assert {folder_of(name) for name in modules()} - {""} <= set(MAY_IMPORT)
    assert not [one for one in imports() if one.importer == PACKAGE and one.ours]


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_folder_imports_only_what_stands_above_it(folder: str) -> None:
    allowed = MAY_IMPORT[folder] | {folder, ""}
    wrong = [one for one in imports() if folder_of(one.importer) == folder and one.ours and one.folder not in allowed]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("folder", sorted(MAY_USE))
def test_a_folder_uses_only_its_libraries(folder: str) -> None:
    wrong = [
        one
        for one in imports()
        if folder_of(one.importer) == folder
        and not (one.ours or one.standard)
        and one.root not in MAY_USE[folder]
        and not (one.importer in CRYPTOGRAPHERS and one.lazy and one.root == "cryptography")
        and not (one.importer == SIGNER and one.root == "cryptography")
        and not (one.importer == VERIFIER and one.lazy and one.root == "tuf")
        and not (one.importer == BILL_WRITER and one.lazy and one.root == "cyclonedx")
    ]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("folder", ["tls", "fleet"])
def test_pure_folders_have_no_sockets_no_files_and_no_loop(folder: str) -> None:
    impure = {"socket", "ssl", "asyncio", "threading", "subprocess", "os", "random", "datetime"}
    wrong = [one for one in imports() if folder_of(one.importer) == folder and one.root in impure]
    assert not wrong, told(wrong)


@pytest.mark.parametrize(("libraries", "places"), [(DATABASE, STORE), (WEB_FRAMEWORK, WEB_PLACES)])
def test_the_manager_knows_a_library_only_in_its_place(libraries: set[str], places: tuple[str, ...]) -> None:
    wrong = [
        one
        for one in imports()
        if folder_of(one.importer) == "manager" and one.root in libraries and not within(one.importer, places)
    ]
    assert not wrong, told(wrong)


def test_doors_never_call_each_other() -> None:
    """They call services; 4120's door knows nothing of 4119's frame either."""
    wrong = [
        one
        for one in imports()
        for door in DOORS
        if within(one.importer, (door,)) and within(one.imported, tuple(other for other in DOORS if other != door))
    ]
    wrong += [one for one in imports() if within(one.importer, DOORS[-1:]) and within(one.imported, (FRAME,))]
    assert not wrong, told(wrong)


COMMANDS = sorted(name for name in modules() if name.startswith("plimsoll.cli.") and name.count(".") == 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_what_it_starts_only_when_it_runs(command: str) -> None:
    """`plimsoll --help` must not load a manager."""
    heavy = {name for name in reached(command) if folder_of(name) not in {"cli", "tls", ""}}
    assert not heavy


def test_no_module_imports_itself_by_a_circle() -> None:
    assert not cycles(), "\n".join(" <-> ".join(group) for group in cycles())


SAMPLE = """
import a.b, c
from plimsoll.tls import floors, __doc__
from . import ports
from ..tls.versions import Version
if TYPE_CHECKING:
    import never
try:
    import d
except ImportError:
    import e
with x:
    import f
class K:
    def m(self):
        match y:
            case 1:
                import g
"""


def test_the_reader_sees_imports_in_every_block() -> None:
    """Guards the guard: an import that it misses would let everything pass."""
    found = imports_of(SAMPLE, "plimsoll.manager.home")
    assert [one.imported for one in found] == [
        "a.b",
        "c",
        "plimsoll.tls.floors",
        "plimsoll.tls",
        "plimsoll.manager.ports",
        "plimsoll.tls.versions",
        "d",
        "e",
        "f",
        "g",
    ]
    assert [one.imported for one in found if one.lazy] == ["g"]
    assert found[4].folder == "manager"
    assert len(imports()) > 300
