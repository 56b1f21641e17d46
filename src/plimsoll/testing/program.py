"""A program that is one third-party client: ``python -m plimsoll.testing.program``.

It asks one question over TLS, capped at a version as an old program is, and prints as one line of JSON what came of
it: the version and the answer's status, or why there was none. With ``--certificate`` it asks as a computer of the
fleet, the way an agent asks its relay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from plimsoll.testing.caps import client_context
from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import Credentials, PeerError, TlsPipe
from plimsoll.tls.versions import UnknownVersionError, Version


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one question. `reason` is empty where it was answered, and `version` is what both settled on."""

    reason: str
    detail: str = ""
    version: str = ""
    suite: str = ""
    status: int = 0


async def ask(
    url: str,
    newest: Version,
    *,
    ca: str | None = None,
    key: str = "",
    credentials: Credentials | None = None,
    address: str | None = None,
) -> Asked:
    """One GET as a client that speaks up to `newest`; below 1.2 it speaks nothing newer, as old programs do."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None or parts.port is None:
        raise ValueError(f"expected https://HOST:PORT/PATH, not {url!r}")
    context = client_context(ca, oldest=min(newest, Version.TLS1_2), newest=newest)
    try:
        pipe = await TlsPipe.open(
            parts.hostname, parts.port, context, credentials=credentials, local_address=address, timeout=10.0
        )
        try:
            answer = await HttpPipe(pipe).request("GET", parts.path, headers={"api-secret-key": key} if key else {})
            cipher = pipe.tls.cipher()
            return Asked("", "", pipe.tls.version() or "", cipher[0] if cipher else "", answer.status)
        finally:
            await pipe.close()
    except PeerError as error:
        return Asked(error.reason, error.detail)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Exit code 0 where the question was answered or refused, 2 where it could not be put."""
    parser = argparse.ArgumentParser(prog="plimsoll.testing.program", description="One third-party client.")
    parser.add_argument("--url", required=True, help="https://host:port/path")
    parser.add_argument("--ca", default=None, help="the CA's certificate; without it anyone is trusted")
    parser.add_argument("--key-file", type=Path, default=None, help="a file with an API key")
    parser.add_argument("--newest", default="TLSv1.3", help="the newest version that it speaks")
    parser.add_argument("--certificate", type=Path, default=None)
    parser.add_argument("--certificate-key", type=Path, default=None)
    parser.add_argument("--address", default=None, help="its own address in 127.0.0.0/8")
    given = parser.parse_args(arguments)
    credentials = None
    if given.certificate is not None and given.certificate_key is not None:
        credentials = Credentials(given.certificate, given.certificate_key)
    try:
        asked = asyncio.run(
            ask(
                given.url,
                Version.parse_floor(given.newest),
                ca=given.ca,
                key=given.key_file.read_text().strip() if given.key_file else "",
                credentials=credentials,
                address=given.address,
            )
        )
    except (UnknownVersionError, ValueError, OSError) as error:
        sys.stderr.write(f"plimsoll.testing.program: {error}\n")
        return 2
    sys.stdout.write(json.dumps(asdict(asked)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
