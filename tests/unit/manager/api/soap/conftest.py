"""A zeep client of the manager's application without sockets, with computers, groups and events to ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zeep
import zeep.transports
from requests.adapters import BaseAdapter
from requests.models import PreparedRequest, Response
from requests.sessions import Session
from tests.support.application import application
from tests.support.homes import Desk, desk
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll.manager.api.backend import Backend

PATH = "/webservice/Manager"


class _Adapter(BaseAdapter):
    """Hands requests' requests to the application, as a peer of the gate."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        answer = self._client.request(request.method or "GET", request.path_url, content=request.body, headers=headers)
        made = Response()
        made.status_code = answer.status_code
        made._content = answer.content
        made.headers.update(answer.headers)
        made.url = str(request.url)
        return made

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Soap:
    at: Desk
    client: Client
    zeep: Any
    session: str

    def call(self, operation: str, /, **named: Any) -> Any:
        """With the administrator's session."""
        return self.zeep.service[operation](**named, sID=self.session)


@pytest.fixture
def soap(tmp_path: Path) -> Iterator[Soap]:
    with desk(tmp_path) as at:
        app = application(Backend(at.services, at.home.installation))
        client = Client(app, GateConnection())
        with Session() as session:
            session.mount("https://", _Adapter(client))
            transport = zeep.transports.Transport(session=session)  # type: ignore[no-untyped-call]
            made = zeep.Client(f"https://manager{PATH}?WSDL", transport=transport)  # type: ignore[no-untyped-call]
            sid = made.service.authenticate(username="admin", password=at.made.admin_password)
            yield Soap(at, client, made, sid)
