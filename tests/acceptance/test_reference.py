"""`docs/reference` is what the description says, and every line in it was run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.reference import FOLDER, pages, prepared, run_all

from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import operations
from plimsoll.manager.api.examples import EXAMPLES


def test_every_operation_has_an_example_and_no_other() -> None:
    assert {one["operationId"] for _, _, one in operations(describing().openapi())} == set(EXAMPLES)


def test_the_pages_are_up_to_date() -> None:
    there = {path.name: path.read_text() for path in FOLDER.glob("*.md")}
    assert there == pages(), "make reference writes them anew"


@pytest.mark.rule("R1")
def test_every_line_is_answered_as_it_says(tmp_path: Path) -> None:
    with prepared(tmp_path) as (manager, files):
        wrong = [one for one in run_all(manager, files) if one.status != str(one.wanted)]
    assert wrong == []
