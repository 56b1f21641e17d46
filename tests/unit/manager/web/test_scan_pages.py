"""How the endpoints of a scan are made into pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plimsoll.manager.services.scan_views import EndpointView, Judged
from plimsoll.manager.web.routes.scans import LOOKED, ROWS, SHOWS, _page
from plimsoll.scan.report import Target


def endpoints(count: int, *, failing: Callable[[int], bool]) -> Callable[[int], tuple[EndpointView, ...]]:
    """A scan of that many, 500 at a time, as the service gives them."""

    def one(position: int) -> EndpointView:
        verdict = "does not hold" if failing(position) else "holds"
        judged = (Judged("pci-dss-4.0.1", verdict, ()),)
        return EndpointView(position, Target("h.test", position + 1), "", None, "", "complete", "", (), "A", judged)

    return lambda after: tuple(one(at) for at in range(after + 1, min(after + 501, count)))


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 5 * ROWS])
def test_all_of_them_come_once(count: int) -> None:
    look = endpoints(count, failing=lambda _: False)
    seen: list[int] = []
    after: int | None = -1
    while after is not None:
        rows, after = _page(look, SHOWS[""], after)
        assert len(rows) <= ROWS
        seen += [row.position for row in rows]
    assert seen == list(range(count))


def test_a_filter_looks_on_for_a_while_and_offers_the_rest() -> None:
    look = endpoints(3 * LOOKED, failing=lambda position: position == 3 * LOOKED - 1)
    rows, after = _page(look, SHOWS["failing"], -1)
    assert (rows, after) == ([], LOOKED - 1)
    rows, after = _page(look, SHOWS["failing"], 2 * LOOKED - 1)
    assert ([row.position for row in rows], after) == ([3 * LOOKED - 1], None)
