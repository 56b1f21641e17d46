"""plimsoll version: what is installed here, and the TLS library it uses."""

from __future__ import annotations

import typer

from plimsoll.cli._session import Json, session


def command(context: typer.Context, as_json: Json = False) -> None:
    """The release, and the Python and TLS library that it runs on."""
    import platform
    import ssl

    from plimsoll import RELEASE

    output = session(context).output
    if as_json:
        output.json({"plimsoll": RELEASE, "python": platform.python_version(), "tls_library": ssl.OPENSSL_VERSION})
        return
    output.line(f"plimsoll {RELEASE} (Python {platform.python_version()}, {ssl.OPENSSL_VERSION})")
