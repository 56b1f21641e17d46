"""Two TLS peers that talk through memory: a handshake without sockets, ports or waiting."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(slots=True)
class MemoryPeer:
    """One side: the TLS object and the two buffers it reads from and writes to."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


@dataclass(slots=True)
class MemoryLink:
    """A client and a server joined in memory. `wire` collects what each side sent, for tests that look at bytes."""

    client: MemoryPeer
    server: MemoryPeer
    client_bytes: bytearray
    server_bytes: bytearray

    def pump(self) -> None:
        """Carries what lies in the outgoing buffers to the other side, and collects it."""
        forth, back = self.client.outgoing.read(), self.server.outgoing.read()
        self.client_bytes += forth
        self.server_bytes += back
        self.server.incoming.write(forth)
        self.client.incoming.write(back)

    def handshake(self) -> None:
        """Completes the handshake, or raises the ssl.SSLError of the side that gave up first."""
        done = {"client": False, "server": False}
        for _ in range(20):
            for name, peer in (("client", self.client), ("server", self.server)):
                if not done[name]:
                    done[name] = _step(peer, self)
                self.pump()
            if all(done.values()):
                return
        raise ssl.SSLError("the handshake did not come to an end")

    def send(self, data: bytes, *, from_client: bool = True) -> bytes:
        """Sends the data and returns what the other side read."""
        sender, receiver = (self.client, self.server) if from_client else (self.server, self.client)
        sender.tls.write(data)
        self.pump()
        return receiver.tls.read(len(data))


def _step(peer: MemoryPeer, link: MemoryLink) -> bool:
    try:
        peer.tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        link.pump()  # so that the alert that explains the failure is among the collected bytes
        raise
    return True


def _peer(context: ssl.SSLContext, *, server_side: bool, server_name: str | None) -> MemoryPeer:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_name)
    return MemoryPeer(tls, incoming, outgoing)


def link(client: ssl.SSLContext, server: ssl.SSLContext, *, server_name: str | None = None) -> MemoryLink:
    """A client and a server on these contexts, before their handshake."""
    return MemoryLink(
        _peer(client, server_side=False, server_name=server_name),
        _peer(server, server_side=True, server_name=None),
        bytearray(),
        bytearray(),
    )
