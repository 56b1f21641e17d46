from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, old_home

from plimsoll.manager.home import open_home
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services import Services
from plimsoll.manager.upgrade import upgrade_home


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_what_services_do_is_in_one_chain(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1.1", force=True, reason="früher ☃ \x7f")
    at.services.access.create_user(ROOT, "anna", "a long password of hers", "auditor")
    at.services.access.update_user(ROOT, "anna", role="operator")
    found = at.services.audit.verify(ROOT)
    assert found.ok
    assert found.entries == len(at.services.access.audit(ROOT)) >= 6
    assert found.anchor
    assert found.anchor.why.startswith("this home was made by")
    assert found.head
    assert at.services.audit.verify(ROOT, found.head.entry, found.head.hash.upper()).ok
    assert not at.services.audit.verify(ROOT, 1, "0" * 64).ok
    with pytest.raises(BadInput, match="belong together"):
        at.services.audit.verify(ROOT, 1)


def test_pruning_is_an_entry_itself_and_refused_on_a_broken_chain(tmp_path: Path) -> None:
    days = [0.0]
    with desk(tmp_path, lambda: 1_790_000_000 + days[0] * 86400) as at:
        at.services.floors.set(ROOT, "TLSv1.1")
        with pytest.raises(BadInput, match="a day at least"):
            at.services.audit.prune(ROOT, 0.5)
        assert at.services.audit.prune(ROOT, 1) == 0
        days[0] = 3
        at.services.access.create_user(ROOT, "anna", "a long password of hers", "auditor")
        gone = at.services.audit.prune(ROOT, 1)
        assert gone >= 1
        assert at.services.access.audit(ROOT)[0].after == {"entries": gone}
        assert at.services.audit.verify(ROOT).ok
        at.home.store.write(lambda c: c.exec_driver_sql("update audit set who = 'user:eve'"))
        with pytest.raises(BadInput, match="broken"):
            at.services.audit.prune(ROOT, 1)


@pytest.mark.rule("R7")
def test_an_upgraded_home_has_its_chain_from_the_upgrade_on(tmp_path: Path) -> None:
    home = old_home("enforced", tmp_path)
    upgrade_home(home)
    opened = open_home(home)
    try:
        services = Services(opened.store, opened)
        services.floors.set(ROOT, "TLSv1.3", force=True, reason="try")
        found = services.audit.verify(ROOT)
        assert found.ok
        assert found.entries
        assert found.anchor
        assert "upgraded from" in found.anchor.why
    finally:
        opened.close()
