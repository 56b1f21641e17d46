"""A home for each module of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.application import application
from tests.support.homes import new_home
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.serve import App
from plimsoll.manager.home import InitResult, open_home
from plimsoll.manager.services import Services
from plimsoll.manager.store import Store


@dataclass
class Made:
    app: App
    backend: Backend
    init: InitResult
    store: Store

    def settle(self) -> None:
        """What was queued for the store before is in it."""
        self.store.enqueue(lambda connection: None).result(60)

    def local(self) -> Client:
        return Client(self.app)

    def remote(self, key: str | None = None) -> Client:
        return Client(self.app, GateConnection(), {} if key is None else {"api-secret-key": key})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    directory, init = new_home(tmp_path_factory.mktemp("manager"), "sqlite")
    home = open_home(directory)
    try:
        backend = Backend(Services(home.store, home), home.installation)
        yield Made(application(backend), backend, init, home.store)
    finally:
        home.close()
