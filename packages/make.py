"""Makes the packages of one kind, or finds them made."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.architecture.imports import SOURCE

from packages import cache, pack, tree
from packages.interpreter import Interpreter, interpreter
from plimsoll import RELEASE

#: Debian's and rpm's packages, and the archive that software upgrades carry.
FORMS = {"agent": ("deb", "rpm", "archive"), "manager": ("deb",)}

KINDS = {"agent": (tree.AGENT, pack.AGENT), "manager": (tree.MANAGER, pack.MANAGER)}


def make(
    kind: str, out: Path, release: str = RELEASE, *, forms: Sequence[str] = (), refresh: bool = False
) -> dict[str, Path]:
    """The packages of agent or manager, in `out`, by their form; made only where what they are made of has changed.

    `release` is another number than the tree's own for tests of upgrades. Raises PackagesError.
    """
    recipe, package = KINDS[kind]
    out.mkdir(parents=True, exist_ok=True)
    built = interpreter(refresh=refresh)
    epoch = pack.commit_time()
    named = {form: out / pack.file_name(package, release, form) for form in forms or FORMS[kind]}
    inputs = fingerprint(recipe, built, release, epoch)
    with cache.alone("packages"):
        wanted = [form for form, path in named.items() if _stamp(path, inputs) is None]
        if wanted:
            with tempfile.TemporaryDirectory(prefix="plimsoll-packages-") as folder:
                place = Path(folder) / "tree"
                tree.build(recipe, built, release, place)
                pack.settle(place, epoch)
                pack.install_packages(package, place, release, epoch, out, [one for one in wanted if one != "archive"])
                if "archive" in wanted:
                    pack.archive(place, named["archive"], epoch)
            for form in wanted:
                named[form].with_name(f".{named[form].name}.made-of").write_text(inputs)
    return named


def _stamp(path: Path, inputs: str) -> Path | None:
    """The package that is there already, if it was made of these inputs."""
    stamp = path.with_name(f".{path.name}.made-of")
    return path if path.exists() and stamp.exists() and stamp.read_text() == inputs else None


def fingerprint(recipe: tree.Recipe, built: Interpreter, release: str, epoch: int) -> str:
    """What a package is made of, as one digest: its sources, its pins, this folder's recipes."""
    here = Path(__file__).parent
    parts: list[bytes | str | Path] = [
        built.folder.parent.name,
        built.folder.name,
        release,
        str(epoch),
        *sorted(recipe.modules()),
    ]
    ours = [SOURCE / "plimsoll", here]
    for folder in ours:
        parts += sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    parts += [pack.REPOSITORY / "requirements" / name for name in ("runtime.txt", "packages.txt")]
    return cache.digest_of([*parts, pack.REPOSITORY / "docs" / "packages.md"])
