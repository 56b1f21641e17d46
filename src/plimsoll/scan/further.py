"""What is asked once the versions are known, and what its results fill of the report.

Each part is a named script: it sees what is known, asks in the same session (with its pace, its controls and its
re-asking), and its result comes back under its name. Imported only where a version was accepted, and what a sweep does
not need only for a full scan.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from plimsoll.scan.asking import Script
from plimsoll.scan.certificates import TrustStore, name_matches, report
from plimsoll.scan.der import CertificateError, read_certificate
from plimsoll.scan.knowledge import Chain, Known
from plimsoll.scan.options import FULL, Options
from plimsoll.scan.report import CertificateReport
from plimsoll.tls.versions import Version


def scripts(known: Known, options: Options) -> Iterator[tuple[str, Script[Any]]]:
    """The scripts to run, one after another: each is made when the one before it has ended."""
    if options.mode != FULL:
        if not known.chains:
            from plimsoll.scan import features, features13

            facts = known.facts = features.Facts()
            yield from features13.read_certificate(known, facts)
    elif options.features:
        from plimsoll.scan import features, features13

        facts = known.facts = features.Facts()
        yield from features.scripts(known, facts)
        yield from features13.scripts(known, facts)


def values(known: Known, options: Options) -> dict[str, Any]:
    """The fields of the report that they fill, by name."""
    full = options.mode == FULL and options.features
    found: dict[str, Any] = {"certificates": tuple(_certificates(known, _trust(options) if full else None))}
    if full and known.facts is not None:
        found["features"] = known.facts.features(known)
    return found


def _trust(options: Options) -> TrustStore:
    from plimsoll.scan.certificates import system_store

    return system_store() if options.trust is None else options.trust


def _certificates(known: Known, trust: TrustStore | None) -> Iterator[CertificateReport]:
    """Every chain that was seen: those of clients with the name first."""
    facts = known.facts
    chains: dict[Chain, set[Version]] = {chain: set(versions) for chain, versions in known.chains.items()}
    for chain, versions in facts.chains.items() if facts is not None else ():
        chains.setdefault(chain, set()).update(versions)
    now, target = time.time(), known.target
    for chain, versions in chains.items():
        proved = facts.proved.get(chain[0]) if facts is not None else None
        name = target.server_name or _address_of(chain[0], target.host)
        yield report(chain, at=now, name=name, trust=trust, seen_with=sorted(versions), proved=proved)
    leaves = {chain[0] for chain in chains}
    for chain, versions in facts.unnamed.items() if facts is not None else ():
        if chain[0] not in leaves:
            yield report(chain, at=now, trust=trust, seen_with=sorted(versions), only_without_name=True)


def _address_of(leaf: bytes, host: str) -> str:
    """The address that was asked, if the certificate is for it. That it is not tells nothing: nobody gave a name."""
    try:
        return host if name_matches(read_certificate(leaf), host) else ""
    except CertificateError:
        return ""
