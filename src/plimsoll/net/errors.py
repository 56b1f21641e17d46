"""What can go wrong while a service opens its doors; each says what to do next."""

from __future__ import annotations


class NetError(Exception):
    """The base: the local side cannot serve as configured."""


class PortTaken(NetError):  # noqa: N818 - a state of the port, named as people say it
    """Another program listens there already. `holder` is its name and pid, where the system tells."""

    def __init__(self, host: str, port: int, holder: str | None) -> None:
        self.host = host
        self.port = port
        self.holder = holder
        by = f" by {holder}" if holder else ""
        super().__init__(f"port {port} on {host} is taken{by}; stop that program or configure another port")


class CannotListen(NetError):  # noqa: N818
    """The address or port cannot be listened on, for another reason than being taken."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(f"cannot listen on {host} port {port}: {reason}")


class BadIdentity(NetError):  # noqa: N818
    """A certificate or key that cannot be served. What was served before is kept."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")
