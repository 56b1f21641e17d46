"""The stepwise TLS client against the real gate: refusals by name, pauses, resumption, and servers that say nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.testing.standin import stand_in

from plimsoll.testing.caps import client_context
from plimsoll.testing.certificates import TestAuthority
from plimsoll.testing.pipe import CERTIFICATE, CLOSED, ENDED, REFUSED, TIMEOUT, UNREACHABLE, PeerError, TlsPipe
from plimsoll.tls.versions import Version

EARLY = (Version.TLS1_0, Version.TLS1_0)


async def reason(port: int, **options: object) -> str:
    """Why no connection came about."""
    context = options.pop("context", None) or client_context(None)
    with pytest.raises(PeerError) as caught:
        await TlsPipe.open("127.0.0.1", port, context, **options)  # type: ignore[arg-type]  # a test's own keywords
    return caught.value.reason


def test_a_refusal_and_a_wrong_authority_have_names(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            manager.set_floor(Version.TLS1_2)
            early = client_context(None, oldest=EARLY[0], newest=EARLY[1])
            assert await reason(manager.port, context=early) == REFUSED
            other = tmp_path / "other.pem"
            other.write_bytes(TestAuthority().pem)
            assert await reason(manager.port, context=client_context(str(other))) == CERTIFICATE
            other.write_bytes(manager.authority.again(-20, -1).public_bytes(Encoding.PEM))
            assert await reason(manager.port, context=client_context(str(other))) == ENDED
        assert await reason(manager.port) == UNREACHABLE

    asyncio.run(main())


def test_servers_that_say_nothing_or_close(tmp_path: Path) -> None:
    async def main() -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(4096):
                pass
            writer.close()

        for handler, expected in ((close, CLOSED), (wait, TIMEOUT)):
            server = await asyncio.start_server(handler, "127.0.0.1", 0)
            assert await reason(server.sockets[0].getsockname()[1], timeout=0.3) == expected
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_handshake_can_stop_in_the_middle(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            context = client_context(None, oldest=EARLY[0], newest=EARLY[1])
            pipe = await TlsPipe.connect("127.0.0.1", manager.port, context)
            assert not await pipe.step()
            await pipe.fill()
            await asyncio.sleep(0.1)
            await pipe.handshake()
            assert pipe.tls.version() == "TLSv1"
            await pipe.close()

    asyncio.run(main())


def test_a_session_is_resumed(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            context = client_context(None, oldest=Version.TLS1_2, newest=Version.TLS1_2)
            first = await TlsPipe.open("127.0.0.1", manager.port, context)
            session = first.tls.session
            await first.close()
            second = await TlsPipe.open("127.0.0.1", manager.port, context, session=session)
            assert second.tls.session_reused
            await second.close()

    asyncio.run(main())
