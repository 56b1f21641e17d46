"""What is asked once the versions are known, and what its results fill of the report.

Each part is a named script: it sees what is known, asks in the same session (with its pace, its controls and its
re-asking), and its result comes back under its name. Imported only where a version was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.scan.asking import Script
from plimsoll.scan.knowledge import Known, fingerprint
from plimsoll.scan.options import Options
from plimsoll.scan.report import CertificateReport
from plimsoll.tls.spki import public_key, signature_name


def scripts(known: Known, options: Options) -> Iterator[tuple[str, Script[Any]]]:
    """The scripts to run, one after another: each is made when the one before it has ended."""
    return iter(())


def values(known: Known, results: dict[str, Any]) -> dict[str, Any]:
    """The fields of the report that they fill, by name."""
    return {"certificates": tuple(_plain(known))}


def _plain(known: Known) -> Iterator[CertificateReport]:
    """The certificates as they came along with the suites, without a judgement."""
    for chain, versions in known.chains.items():
        key = public_key(chain[0])
        yield CertificateReport(
            fingerprint(chain[0]), chain, key=key.kind, key_bits=key.bits, curve=key.curve,
            signature=signature_name(chain[0]), seen_with=tuple(sorted(versions)),
        )  # fmt: skip
