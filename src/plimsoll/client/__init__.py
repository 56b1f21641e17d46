"""A manager's REST for Python programs: one method an operation, with the types of what goes in and comes out.

    from plimsoll.client import Client

    with Client("https://manager.example.test:4119", key, ca="ca.pem") as manager:
        for computer in manager.computers.list_computers()["computers"]:
            print(computer["hostName"], computer["tls"]["negotiated"])
        manager.tls.set_floor({"floor": "TLSv1.3", "point": "agent"})

`operations` and `shapes` are written from the description of REST (``make reference``), so that they say what it says.
`follow` gives events as they happen. A refusal is `Refused`, with the status and the manager's words.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from plimsoll.client.operations import Operations, Params
from plimsoll.client.shapes import Event

__all__ = ["Client", "Refused", "Unreachable", "events_of"]

#: Seconds that an answer may take.
TIMEOUT = 60.0
#: Seconds before a stream that broke is asked for again, at first and at most.
PAUSE = 1.0
LONGEST_PAUSE = 30.0
#: Seconds without a sign of life after which a stream counts as broken: the manager gives one every fifteen.
SILENCE = 45.0
#: Refusals that pass.
_LATER = (429, 503)


class Refused(Exception):  # noqa: N818 - names a condition
    """The manager's answer to what it would not do. `body` has more than the message where there is more to say:
    of a raise that would cut parts off, whom.
    """

    def __init__(self, status: int, message: str, body: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(f"{message} ({status})")
        self.status = status
        self.message = message
        self.body = body
        #: Seconds after which to come again, where the manager said so.
        self.retry_after = retry_after


class Unreachable(Exception):  # noqa: N818 - names a condition
    """No answer came, or none that is a manager's."""


class Client(Operations):
    """One manager. `ca` is a PEM file with the authority of 4119's certificate, without one the system's count.
    TLS 1.2 is the least that it speaks, whatever the manager's floor. Use it in one thread at a time.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        ca: str | Path | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        headers = {"api-secret-key": key, "api-version": "v1"}
        self._http = httpx.Client(base_url=url, headers=headers, verify=context, timeout=timeout, transport=transport)
        super().__init__(self._ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def follow(self, after: int | None = None, *, pause: float = PAUSE) -> Iterator[Event]:
        """Events as they happen, each once and in order, for as long as the caller goes on. Begins after the event of
        that ID, else with what happens now.

        A connection that breaks, or a manager that is away, is tried again after `pause` seconds, then twice as many,
        up to 30; it goes on after the last event that was handed out. Raises Refused where the manager does not let us
        listen any more, and Unreachable only where it was not reached at the beginning.
        """
        if after is None:
            newest = self.events.list_events(limit=1)["events"]
            after = newest[-1]["ID"] if newest else 0
        wait = pause
        while True:
            try:
                for event in self._stream(after):
                    after, wait = event["ID"], pause
                    yield event
            except httpx.HTTPError:
                pass  # it is tried again
            except Refused as refused:
                if refused.status not in _LATER:
                    raise
                wait = max(wait, refused.retry_after or 0.0)
            except Unreachable:
                pass  # something between answered in the manager's place
            time.sleep(wait)
            wait = min(wait * 2, LONGEST_PAUSE)

    def _stream(self, after: int) -> Iterator[Event]:
        timeout = httpx.Timeout(SILENCE, connect=10.0)
        with self._http.stream("GET", "/api/events/stream", params={"after": after}, timeout=timeout) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _refused(answer)
            yield from events_of(answer.iter_lines())

    def _ask(self, method: str, path: str, params: Params, body: object, headers: Mapping[str, str]) -> Any:
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        given = {name: _text(value) for name, value in params.items() if value is not None}
        try:
            answer = self._http.request(
                method, path, params=given, headers=dict(headers), **({} if body is None else sent)
            )
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._http.base_url} was not reached: {error}") from error
        if answer.status_code >= 400:
            raise _refused(answer)
        if answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.content


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream's lines (server-sent events, as WHATWG's HTML standard has them, 9.2.6)."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


def _text(value: object) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(one) for one in value] if isinstance(value, list | tuple) else str(value)


def _refused(answer: httpx.Response) -> Exception:
    try:
        body = answer.json()
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return Unreachable(f"{answer.url} did not answer as a manager does ({answer.status_code})")
    wait = answer.headers.get("retry-after", "")
    return Refused(answer.status_code, message, body, float(wait) if wait.isdecimal() else None)
