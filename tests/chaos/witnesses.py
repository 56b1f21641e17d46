"""Who looks on while something is broken: one who changes things by REST, and one who tries TLS 1.0 at every port."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import httpx
from tests.support.manager import HOST, Manager
from tests.support.process import eventually
from tests.support.raw import hello_bytes, say_hello

from plimsoll.tls.versions import Version

#: Seconds between two changes, and between two looks at all ports.
PAUSE = 0.1
_ANSWER = 30.0
_HELLO = 3.0
_HANDSHAKE_RECORD = 22
_PROTOCOL_VERSION = 70


class _Witness:
    """A thread that does one thing again and again, until the end of the `with`."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, name=type(self).__name__)
        self.broken: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if self.broken is not None and error is None:
            raise self.broken

    def _live(self) -> None:
        try:
            while not self._end.is_set():
                self.once()
                self._end.wait(PAUSE)
        except BaseException as error:  # noqa: BLE001 - raised at the end of the with
            self.broken = error

    def once(self) -> None:
        raise NotImplementedError


class Ledger(_Witness):
    """Makes groups of computers, at each manager in turn. `kept` are those that were answered with 200."""

    def __init__(self, managers: Sequence[Manager], prefix: str) -> None:
        super().__init__()
        self.kept: list[tuple[float, str, str]] = []
        self.answers: Counter[str] = Counter()
        self._names = (f"{prefix}-{number}" for number in itertools.count(1))
        self._turn = itertools.cycle(managers)
        self._clients = {one.home.name: _client(one) for one in managers}

    def __exit__(self, *how: object) -> None:
        super().__exit__(*how)  # type: ignore[arg-type]  # passed on as it came
        for client in self._clients.values():
            client.close()

    def once(self) -> None:
        one, name, began = next(self._turn), next(self._names), time.monotonic()
        try:
            answer = self._clients[one.home.name].post("/api/computergroups", json={"name": name})
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return
        self.answers[str(answer.status_code)] += 1
        if answer.is_success:
            self.kept.append((began, one.home.name, name))
        else:
            assert answer.status_code in (429, 503), f"{answer.status_code} {answer.text}"

    @property
    def names(self) -> set[str]:
        return {name for _, _, name in self.kept}

    def until_kept(self, since: float, times: int, where: str | None = None) -> None:
        """Until so many changes that began since then were acknowledged, by the manager `where` or by any."""

        def count() -> int:
            return sum(began > since and where in (None, at) for began, at, _ in self.kept)

        eventually(lambda: count() >= times, f"changes are acknowledged: {self.answers}", 180)


def _client(one: Manager) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(one.ca))
    # Over a connection of its own each: what is broken is not waited for on an old one.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=f"https://{HOST}:{one.gui_port}", verify=context, limits=limits, timeout=_ANSWER,
                        headers={"api-secret-key": one.api_key})  # fmt: skip


class Prober(_Witness):
    """Says the hello of a client of TLS 1.0 at every port. `let_in` must stay empty."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__()
        self.outcomes: dict[str, Counter[str]] = {name: Counter() for name in ports}
        self.let_in: list[str] = []
        self._ports = dict(ports)
        self._hello = hello_bytes(Version.TLS1_0)

    def once(self) -> None:
        for name in self._ports:
            self.outcomes[name][self.look(name)] += 1

    def look(self, name: str) -> str:
        """What comes of one hello at that port: refused, let in, or nothing that is an answer."""
        try:
            came = say_hello(self._ports[name], self._hello, timeout=_HELLO)
        except OSError as error:
            return type(error).__name__
        if came.data[:1] == bytes([_HANDSHAKE_RECORD]):
            self.let_in.append(f"{name} at {time.strftime('%H:%M:%S')}")
            return "let in"
        return "refused" if came.alert == _PROTOCOL_VERSION else f"no answer, {came.end}"

    def _refuses(self, name: str) -> bool:
        return self.look(name) == "refused"

    def until_refused(self) -> None:
        """Until every port answers with the alert that says why, as when nothing is broken."""
        for name in self._ports:
            eventually(partial(self._refuses, name), f"TLS 1.0 is refused at {name}")
