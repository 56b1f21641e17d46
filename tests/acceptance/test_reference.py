"""`docs/reference` is what the description says, and every line in it was run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.manager import HOST
from tests.support.reference import FOLDER, pages, prepared, run_all

from plimsoll.client import Client
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
        with Client(f"https://{HOST}:{manager.gui_port}", manager.api_key, ca=manager.ca) as client:
            names = {one["hostName"] for one in client.computers.list_computers()["computers"]}
        assert names == {"relay-1.example.test", "web-1.example.test"}
        wrong = [one for one in run_all(manager, files) if one.status != str(one.wanted)]
    assert wrong == []
