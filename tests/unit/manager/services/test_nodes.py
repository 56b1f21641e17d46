"""Who of several managers is gone for good, as another one of them sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.homes import Desk, desk

from plimsoll.manager.services import nodes as service
from plimsoll.manager.store import nodes as table
from plimsoll.manager.store.node_tables import nodes as rows
from plimsoll.manager.store.nodes import NodeRecord

OTHER = NodeRecord("b" * 32, "b", "192.0.2.1", "12.0.0", 4119, 4120, 0.0, 0.0, 7, table.RUNNING)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, kind="postgresql") as opened:
        yield opened


def lost(at: Desk) -> bool:
    return at.home.store.read(lambda c: at.services.nodes.lost(c, OTHER.id))


def test_one_is_lost_that_is_silent_while_this_one_speaks(at: Desk) -> None:
    nodes, store = at.services.nodes, at.home.store
    assert not lost(at), "who does not speak itself knows nothing"
    store.write(lambda c: table.put(c, OTHER))
    nodes.begin(4119, 4120, 1)
    nodes.beat(1)
    store.write(lambda c: c.execute(sa.update(rows).where(rows.c.id == OTHER.id).values(seen=1.0)))
    assert not lost(at), "both may just come back, with the database"
    nodes._speaks_since -= service.GONE_SECONDS
    assert lost(at)
    store.write(lambda c: table.put(c, replace(OTHER, name="c")))
    assert not lost(at), "it is there"
    store.write(lambda c: table.stop(c, OTHER.id))
    assert lost(at), "it stopped, and said so"
    nodes._spoke -= service.SURE_SECONDS + 1
    assert not lost(at), "this one was away itself"
    nodes.beat(1)
    assert not lost(at)


def test_with_one_manager_whatever_another_began_is_lost(tmp_path: Path) -> None:
    with desk(tmp_path, kind="sqlite") as opened:
        assert lost(opened)
