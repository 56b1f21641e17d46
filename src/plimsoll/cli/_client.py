"""The way from a command to a manager: one of three doors, all with the same REST paths.

`--home` wins. Else `PLIMSOLL_URL` (with `PLIMSOLL_API_KEY` and `PLIMSOLL_CA`) names a manager elsewhere. Else the
home of this computer is used: by its local socket where the manager runs, in process and under the home's lock where
it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import httpx

from plimsoll.cli._errors import BlockedError, Code, CommandError

if TYPE_CHECKING:
    from plimsoll.client.operations import Operations

DEFAULT_HOME = Path("/opt/plimsoll")
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
#: The manager writes a large file to its disk before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=10.0)
_PIECE = 256 * 1024

_CODES = {
    400: Code.USAGE,
    404: Code.USAGE,
    422: Code.USAGE,
    401: Code.REFUSED,
    403: Code.REFUSED,
    503: Code.UNREACHABLE,
}


class Client:
    """Speaks REST with one manager and turns its refusals into errors with an exit code."""

    def __init__(self, http: httpx.Client, where: str, *, live: bool = True) -> None:
        self._http = http
        self.where = where
        #: Whether a manager runs there; a stopped one's home only answers.
        self.live = live

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> Any:
        return self._ask("GET", path, params=_present(query))

    def post(self, path: str, body: Mapping[str, object] | None = None, *, patience: float | None = None) -> Any:
        """`patience` is for an answer that takes longer than most, in seconds."""
        timeout = TIMEOUT if patience is None else httpx.Timeout(patience, connect=10.0)
        return self._ask("POST", path, json={} if body is None else dict(body), timeout=timeout)

    def upload(self, path: str, file: BinaryIO, length: int, headers: Mapping[str, str]) -> Any:
        """Posts a file as it is, a piece at a time."""
        whole = {"content-type": "application/octet-stream", "content-length": str(length), **headers}
        return self._ask("POST", path, content=_pieces(file), headers=whole, timeout=UPLOAD_TIMEOUT)

    def download(self, path: str, out: BinaryIO) -> None:
        """Writes an answer's body as it comes."""
        with self._reaching(), self._http.stream("GET", path, timeout=UPLOAD_TIMEOUT) as response:
            if response.status_code >= 400:
                response.read()
                _refuse(response)
            for piece in response.iter_bytes(_PIECE):
                out.write(piece)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    @functools.cached_property
    def typed(self) -> Operations:
        """The same with a method an operation, and the types of its answers: what `plimsoll.client` is made of."""
        from plimsoll.client.operations import Operations

        return Operations(self._operation)

    def _operation(
        self, method: str, path: str, params: Mapping[str, object], body: object, headers: Mapping[str, str]
    ) -> Any:
        sent = {} if body is None else {"json": body}
        return self._ask(method, path, params=_present(params), headers=dict(headers), **sent)

    def lines(self, path: str, **query: object) -> Iterator[str]:
        """The lines of an answer that does not end by itself."""
        with self._reaching(), self._http.stream("GET", path, params=_present(query), timeout=None) as response:
            if response.status_code >= 400:
                response.read()
                _refuse(response)
            yield from response.iter_lines()

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        with self._reaching():
            response = self._http.request(method, path, **options)
        if response.status_code >= 400:
            _refuse(response)
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError:
            raise CommandError(f"{self.where} did not answer with JSON: is it a Plimsoll manager?") from None

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            cause = _reason(error)
            raise CommandError(f"{self.where} was not reached: {cause}", Code.UNREACHABLE) from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _present(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate was not accepted ({text}); PLIMSOLL_CA must name the manager's ca.pem"
    return text


def _refuse(response: httpx.Response) -> None:
    details: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        answer = response.json()
        if isinstance(answer, dict):
            details = answer
    if response.status_code == 409 and "blockers" in details:
        raise BlockedError(details)
    message = str(details.get("message") or details.get("detail") or f"HTTP status {response.status_code}")
    if response.status_code == 409 and "obstacles" in details:
        raise CommandError(message, Code.BLOCKERS)
    raise CommandError(message, _CODES.get(response.status_code, Code.FAILED))


class _InProcess(httpx.BaseTransport):
    """Runs the manager's application in this process, for a home whose manager is stopped."""

    def __init__(self, app: Any, leave: contextlib.ExitStack) -> None:
        self._runner = asyncio.Runner()
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._leave = leave

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._handle(request))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            assert isinstance(request.stream, httpx.SyncByteStream)
            request = httpx.Request(
                request.method, request.url, headers=request.headers, stream=_Poured(request.stream)
            )
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=body)

    def close(self) -> None:
        try:
            self._runner.close()
        finally:
            self._leave.close()


class _Poured(httpx.AsyncByteStream):
    """A file's pieces for an application in this process; reading them keeps nobody else waiting."""

    def __init__(self, pieces: httpx.SyncByteStream) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def in_process(app: Any, where: str, leave: contextlib.ExitStack | None = None) -> Client:
    """A client of an ASGI application in this process."""
    transport = _InProcess(app, leave or contextlib.ExitStack())
    return Client(httpx.Client(transport=transport, base_url="http://localhost", timeout=TIMEOUT), where)


def connect(home: Path | None, env: Mapping[str, str]) -> Client:
    """The client for the manager that `--home` or the environment names."""
    url = env.get("PLIMSOLL_URL")
    if home is None and url:
        return _remote(url, env)
    return local(manager_home(home, env))


def manager_home(home: Path | None, env: Mapping[str, str]) -> Path:
    """The manager's home on this computer: the option, else PLIMSOLL_HOME, else the default."""
    return home or Path(env.get("PLIMSOLL_HOME") or DEFAULT_HOME)


def local(home: Path) -> Client:
    """The manager of this home, running or stopped."""
    if not (home / "configuration.properties").exists():
        raise CommandError(
            f"no manager home at {home}; name one with --home or PLIMSOLL_HOME, make one with 'plimsoll manager init', "
            "or set PLIMSOLL_URL for a manager on another computer",
            Code.UNREACHABLE,
        )
    from plimsoll.net.local_socket import short_name

    path = home / "run" / "manager.sock"
    if _answers(path):
        leave = contextlib.ExitStack()
        transport = _SocketTransport(leave.enter_context(short_name(path)), leave)
        http = httpx.Client(transport=transport, base_url="http://localhost", timeout=TIMEOUT)
        return Client(http, f"the manager at {home}")
    return _stopped(home)


class _SocketTransport(httpx.HTTPTransport):
    """The local socket; what its name depends on is kept open as long."""

    def __init__(self, name: str, leave: contextlib.ExitStack) -> None:
        super().__init__(uds=name)
        self._leave = leave

    def close(self) -> None:
        super().close()
        self._leave.close()


def _stopped(home: Path) -> Client:
    from plimsoll.manager.app import in_process as opened

    leave = contextlib.ExitStack()
    try:
        application = leave.enter_context(opened(home))
    except Exception as error:
        leave.close()
        raise CommandError(f"the stopped home {home} was not opened: {error}", Code.UNREACHABLE) from error
    client = in_process(application, f"the stopped home {home}", leave)
    client.live = False
    return client


def _answers(path: Path) -> bool:
    """Whether a manager listens there; a socket that a killed manager left behind does not count."""
    from plimsoll.net.local_socket import short_name

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(5)
            with short_name(path) as name:
                probe.connect(name)
        except PermissionError as error:
            raise CommandError(f"{path} belongs to another user: {error.strerror}", Code.REFUSED) from error
        except OSError:
            return False
    return True


def _remote(url: str, env: Mapping[str, str]) -> Client:
    key = env.get("PLIMSOLL_API_KEY")
    if not key:
        raise CommandError("PLIMSOLL_URL is set, so PLIMSOLL_API_KEY must be too", Code.USAGE)
    if not url.startswith("https://"):
        raise CommandError(f"PLIMSOLL_URL must begin with https://, not {url!r}", Code.USAGE)
    try:
        context = ssl.create_default_context(cafile=env.get("PLIMSOLL_CA") or None)
    except OSError as error:
        raise CommandError(f"PLIMSOLL_CA {env.get('PLIMSOLL_CA')} was not read: {error}", Code.USAGE) from error
    # A command never goes below 1.2 as a client, whatever the manager's floor.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    http = httpx.Client(
        base_url=url, verify=context, timeout=TIMEOUT, headers={"api-secret-key": key, "accept": "application/json"}
    )
    return Client(http, url)
