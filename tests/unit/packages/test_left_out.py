"""Modules of the standard library that the packages leave out: nothing that they carry of ours asks for one of them."""

from __future__ import annotations

import pytest
from packages import tree
from tests.architecture.imports import imports


@pytest.mark.parametrize(("recipe", "agent"), [(tree.AGENT, True), (tree.MANAGER, False)])
def test_nothing_that_is_carried_asks_for_what_was_left_out(recipe: tree.Recipe, agent: bool) -> None:
    names = tree.LEFT_OUT.read_text().split() + (tree.LEFT_OUT_OF_AGENTS.read_text().split() if agent else [])
    left_out = {name.removesuffix(".py") for name in names}
    carried = set(recipe.modules())
    asked = [str(one) for one in imports() if one.importer in carried and one.root in left_out]
    assert asked == []
