"""What imports what in `src/plimsoll`, read from the syntax tree: nothing is imported to find out."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
PACKAGE = "plimsoll"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, as `importer` (a module of ours) sees it. `lazy` where a function body imports it."""

    importer: str
    imported: str
    line: int
    lazy: bool

    @property
    def ours(self) -> bool:
        return self.imported.partition(".")[0] == PACKAGE

    @property
    def standard(self) -> bool:
        return self.imported.partition(".")[0] in sys.stdlib_module_names

    @property
    def root(self) -> str:
        return self.imported.partition(".")[0]

    @property
    def folder(self) -> str:
        """The folder of `src/plimsoll` that is imported from, empty for the package itself."""
        return folder_of(self.imported)

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def folder_of(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


@cache
def modules() -> dict[str, Path]:
    """Every module of ours, by its dotted name."""
    found: dict[str, Path] = {}
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        names = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of every module of ours, those for the type checker alone left out."""
    return tuple(
        one
        for name, path in modules().items()
        for one in imports_of(path.read_text("utf-8"), name, name if path.name == "__init__.py" else "")
    )


def imports_of(source: str, name: str, package: str = "") -> list[Import]:
    """The imports of one module's source; `package` only where the module is a package itself."""
    return list(_of_nodes(ast.parse(source).body, name, package or name.rpartition(".")[0], lazy=False))


def _of_nodes(nodes: list[ast.stmt], name: str, package: str, lazy: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            for target in _targets(node, package):
                yield Import(name, target, node.lineno, lazy)
        elif not (isinstance(node, ast.If) and _for_types_only(node.test)):
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _of_nodes(_statements_in(node), name, package, inside)


def _statements_in(node: ast.AST) -> list[ast.stmt]:
    """The statements directly below a statement, in whatever block: bodies, handlers, cases."""
    found: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            found.append(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            found += _statements_in(child)
    return found


def _for_types_only(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _targets(node: ast.ImportFrom, package: str) -> Iterator[str]:
    """The modules that a from-import names: a submodule where the name is one, else the module it comes from."""
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    for alias in node.names:
        name = f"{base}.{alias.name}"
        yield name if name in modules() else base


@cache
def below() -> dict[str, set[str]]:
    """What each module of ours imports of ours, when it is itself imported."""
    found: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        if one.ours and not one.lazy and one.imported in found and one.imported != one.importer:
            found[one.importer].add(one.imported)
    return found


def reached(start: str) -> set[str]:
    """Every module of ours that is loaded when this one is."""
    found: set[str] = set()
    waiting = list(below()[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += below()[name]
    return found


def cycles() -> list[list[str]]:
    """Groups of modules that import each other at import time."""
    loads = {name: reached(name) for name in modules()}
    groups = {
        frozenset({name, *(other for other in loads[name] if name in loads[other])})
        for name in loads
        if name in loads[name]
    }
    return sorted(sorted(group) for group in groups)
