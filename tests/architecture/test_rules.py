"""docs/rules.md tells the truth: every rule it names is built somewhere and proved by tests that carry its number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "rules.md"

#: The rules of the reference and the gaps that are closed; each must have its row.
BUILT = {*(f"R{number}" for number in range(1, 23)), *(f"G{number}" for number in range(1, 9))}

_MARKER = re.compile(r"""mark\.rule\(\s*["']([RG]\d+)["']\s*\)""")


@dataclass(frozen=True, slots=True)
class Row:
    rule: str
    built_in: tuple[str, ...]
    proved_by: tuple[str, ...]


def table() -> list[Row]:
    rows = []
    for line in TABLE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"[RG]\d+", cells[0]):
            built, proved = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells[2:])
            rows.append(Row(cells[0], built, proved))
    return rows


def markers() -> dict[str, set[str]]:
    """The rules that each test file proves."""
    return {
        path.relative_to(ROOT).as_posix(): set(_MARKER.findall(path.read_text("utf-8")))
        for path in (ROOT / "tests").rglob("test_*.py")
    }


def test_every_rule_that_is_built_has_one_row() -> None:
    named = [row.rule for row in table()]
    assert len(named) == len(set(named))
    assert set(named) >= BUILT


@pytest.mark.parametrize("row", table(), ids=lambda row: row.rule)
def test_a_rule_is_built_where_the_table_says_and_proved_by_tests_with_its_number(row: Row) -> None:
    assert row.built_in
    assert row.proved_by
    assert not [path for path in row.built_in if not (ROOT / path).is_file()]
    proved = markers()
    assert not [path for path in row.proved_by if row.rule not in proved.get(path, set())]


def test_every_marker_is_a_rule_or_a_gap_of_the_reference() -> None:
    known = {f"R{number}" for number in range(1, 23)} | {f"G{number}" for number in range(1, 9)}
    assert not {rule for rules in markers().values() for rule in rules} - known
