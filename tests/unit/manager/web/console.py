"""The console without a browser and without sockets: signs in as a role, sends forms with their token, reads pages."""

from __future__ import annotations

import re
from typing import Any

import httpx
from tests.support.seeded import Seeded
from tests.unit.manager.api.client import Client
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.ports import Role, socket_principal
from plimsoll.manager.services import Services

PASSWORD = "a long enough password"
ROOT = socket_principal(0)


class Console:
    """One session of a user who is made for it, named as the role."""

    def __init__(self, client: Client, services: Services, role: Role = Role.ADMINISTRATOR) -> None:
        """`client` is one of the gate's that sends no key."""
        self.client = client
        user = f"the {role.value}"
        if user not in {one.name for one in services.access.users(ROOT)}:
            services.access.create_user(ROOT, user, PASSWORD, role.value)
        answer = client.request("POST", "/sign-in", data={"username": user, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        client.cookies = {"sid": answer.cookies["sid"]}
        self._csrf = ""

    @classmethod
    def of(cls, made: Made | Seeded, role: Role = Role.ADMINISTRATOR) -> Console:
        services = made.backend.services if isinstance(made, Made) else made.at.services
        return cls(made.remote(), services, role)

    @property
    def csrf(self) -> str:
        if not self._csrf:
            found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/"))
            assert found is not None
            self._csrf = found[1]
        return self._csrf

    def get(self, path: str, expect: int = 200) -> str:
        answer = self.client.request("GET", path)
        assert answer.status_code == expect, f"GET {path}: {answer.status_code} {answer.text[-3000:]}"
        return answer.text

    def post(self, path: str, expect: int | None = 303, **form: Any) -> httpx.Response:
        """Sends a form as a browser without scripts does. `expect` None takes any answer."""
        answer = self.client.request("POST", path, data={"csrf": self.csrf, **form})
        assert expect is None or answer.status_code == expect, (
            f"POST {path}: {answer.status_code} {answer.text[-3000:]}"
        )
        return answer

    def says(self, answer: httpx.Response) -> str:
        """The message of the screen that a form led to."""
        cookies = dict(self.client.cookies)
        self.client.cookies = {**cookies, **answer.cookies}
        try:
            page = self.get(answer.headers["location"])
        finally:
            self.client.cookies = cookies
        found = re.search(r"data-flash>(.*?)</p>", page, re.DOTALL)
        assert found is not None, page
        return found[1]
