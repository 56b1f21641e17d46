"""docs/tutorial.md, run from its first command to its last on the fleet that it tells of."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.homes import FIXTURES
from tests.support.process import BIN, Service, eventually

pytestmark = pytest.mark.xdist_group("demo")

PAGE = FIXTURES.parents[2] / "docs" / "tutorial.md"


def steps() -> list[tuple[str, int, list[str]]]:
    """Each command of the page with its exit code and the lines that are shown of its output."""
    found: list[tuple[str, int, list[str]]] = []
    for block in re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                command, _, comment = line[2:].partition("   #")
                code = re.search(r"exit code (\d+)", comment)
                found.append((command.strip(), int(code[1]) if code else 0, []))
            elif found and block.startswith("$ "):
                found[-1][2].append(line)
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][\w.:-]*", text)


@pytest.mark.timeout(300)
@pytest.mark.rule("G1")
@pytest.mark.rule("G2")
def test_every_command_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    fleet = Service([BIN / "plimsoll", "demo", "--fleet"], env={"TMPDIR": str(tmp_path)})
    try:
        home = eventually(
            lambda: re.search(r"export PLIMSOLL_HOME=(\S+)", fleet.error_text), "the fleet is up", timeout=90
        )
        environment = {
            **os.environ, "PLIMSOLL_HOME": home[1], "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "400",
        }  # fmt: skip
        for command, code, shown in steps():
            done = subprocess.run(
                ["bash", "-c", command], cwd=work, env=environment, capture_output=True, text=True, timeout=150
            )
            output = done.stdout + done.stderr
            assert done.returncode == code, f"{command}\n{output}"
            # A line is shortened by leaving words out: the rest of them stand in one line, in their order.
            for line in shown:
                wanted = words(line)
                assert not wanted or any(_in_order(wanted, words(real)) for real in output.splitlines()), (
                    f"{command}\nis to print {line!r}, and printed\n{output}"
                )
    finally:
        assert fleet.stop() in (0, 130)
    assert (work / "audit" / "proof.html").exists()


def _in_order(wanted: list[str], real: list[str]) -> bool:
    rest = iter(real)
    return all(word in rest for word in wanted)
