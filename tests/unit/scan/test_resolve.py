"""Names that are looked up in threads."""

from __future__ import annotations

import threading

import pytest

from plimsoll.scan import resolve
from plimsoll.scan.resolve import Resolver


def test_nobody_is_woken_once_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, left = threading.Event(), threading.Event(), threading.Event()

    def slow(host: str, port: int) -> tuple[list[resolve.Address], str]:
        begun.set()
        go_on.wait(30)
        return [], "none"

    class Told(Resolver):
        def _work(self) -> None:
            super()._work()
            left.set()

    monkeypatch.setattr(resolve, "look_up", slow)
    woken: list[bool] = []
    resolver = Told(lambda: woken.append(True))
    resolver.ask("host.test", 443, lambda addresses, reason: None)
    assert begun.wait(30)
    resolver.close()
    go_on.set()
    assert left.wait(30)
    assert woken == []
