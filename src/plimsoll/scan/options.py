"""What a scan is told: what to ask, and how gently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.scan.certificates import TrustStore

FULL: Final = "full"
SWEEP: Final = "sweep"
#: Connections a second to one endpoint. Handshakes cost a server a signature each; loopback is ours and has no limit.
DEFAULT_RATE: Final = 100.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to scan.

    `mode` is "full" or "sweep" (versions, preferred suite, certificate). `concurrency` counts connections at a time to
    one endpoint, `per_host` to one address, `per_network` to one /24 (or /64), `overall` all of them. `rate` is
    connections a second to one endpoint: None means DEFAULT_RATE, and unlimited on loopback; 0 means unlimited.
    `timeout` is for a connect and for a first byte, `whole` for an answer, `patience` for an endpoint. `order` asks for
    the server's order of suites and for whose order counts (without it, disjoint lists are asked side by side),
    `groups` for all key-exchange groups, `features` for all
    beside versions, suites and groups. `trust` are the roots that certificates are judged by, None the system's.
    """

    mode: str = FULL
    versions: tuple[Version, ...] = tuple(Version)
    concurrency: int = 2
    per_host: int = 8
    per_network: int = 32
    overall: int = 64
    rate: float | None = None
    timeout: float = 5.0
    whole: float = 15.0
    patience: float = 110.0
    order: bool = True
    groups: bool = True
    features: bool = True
    local_address: str = ""
    trust: TrustStore | None = None
