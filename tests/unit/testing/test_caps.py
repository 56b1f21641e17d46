"""What simulated releases can do, and that their contexts really do it."""

import ssl

import pytest

from plimsoll.testing import caps
from plimsoll.testing.certificates import TestAuthority
from plimsoll.testing.memory import link
from plimsoll.tls.versions import Version


@pytest.mark.parametrize(
    ("release", "newest", "default"),
    [
        ("9.5", Version.TLS1_0, Version.TLS1_0),
        ("9.6", Version.TLS1_0, Version.TLS1_0),
        ("10.0", Version.TLS1_2, Version.TLS1_0),
        ("10.0 Update 8", Version.TLS1_2, Version.TLS1_0),
        ("11.0", Version.TLS1_2, Version.TLS1_0),
        ("11.1", Version.TLS1_2, Version.TLS1_2),
        ("12.0", Version.TLS1_3, Version.TLS1_2),
    ],
)
def test_a_release_speaks_and_enforces_as_the_reference_says(release: str, newest: Version, default: Version) -> None:
    assert caps.newest_version(release) is newest
    assert caps.relay_default(release) is default
    assert caps.speaks(release)[-1] is newest


def test_every_drawn_release_is_old_or_new() -> None:
    assert all(caps.newest_version(release) < Version.TLS1_2 for release in caps.OLD_RELEASES)
    assert all(caps.newest_version(release) >= Version.TLS1_2 for release in caps.NEW_RELEASES)


def test_an_unreadable_release_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a release"):
        caps.release("newest")


@pytest.mark.parametrize("release", ["9.6", "11.0", "12.0"])
def test_the_context_settles_on_the_newest_version_of_its_release(release: str, server: ssl.SSLContext) -> None:
    pair = link(
        caps.client_context(None, oldest=caps.oldest_version(release), newest=caps.newest_version(release)), server
    )
    pair.handshake()
    assert pair.client.tls.version() == caps.newest_version(release).value


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("server")
    certificate, key = TestAuthority().leaf("manager", "m").write(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.load_cert_chain(certificate, key)
    return context
