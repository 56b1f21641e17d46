"""Our own TLS contexts, and the proof that they serve what we say (design §4, §11).

Rules of this file: no anonymous, null, export, RC4 or 3DES suite, at any floor; SSL 2 and 3 never; the early context
has no maximum version, because OpenSSL leaves out the downgrade sentinel and lets the fallback SCSV pass where it
believes that nothing newer is spoken here.
"""

from __future__ import annotations

import ssl
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plimsoll.net.errors import BadIdentity
from plimsoll.net.identity import certificates_in
from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile, CipherSuite
from plimsoll.tls.versions import FLOORS, Version

#: OpenSSL suite strings, strongest first: what our clients offer, and what peers of early TLS are served.
MODERN_SUITES = DEFAULT.openssl
EARLY_SUITES = f"{CipherProfile.LEGACY.openssl}:@SECLEVEL=0"

_TLS_VERSION = {
    Version.TLS1_0: ssl.TLSVersion.TLSv1,
    Version.TLS1_1: ssl.TLSVersion.TLSv1_1,
    Version.TLS1_2: ssl.TLSVersion.TLSv1_2,
    Version.TLS1_3: ssl.TLSVersion.TLSv1_3,
}
#: OpenSSL's spelling of a negotiated version.
NEGOTIATED = {"TLSv1": Version.TLS1_0, "TLSv1.1": Version.TLS1_1, "TLSv1.2": Version.TLS1_2, "TLSv1.3": Version.TLS1_3}

_EC_KEY = bytes.fromhex("06072a8648ce3d0201")
_RSA_KEY = bytes.fromhex("06092a864886f70d010101")


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A certificate (PEM, with its chain) and its key (PEM, unencrypted)."""

    cert_path: str
    key_path: str

    @property
    def key_type(self) -> str:
        """``ecdsa``, ``rsa`` or ``other``. Raises BadIdentity where the certificate cannot be read."""
        try:
            text = Path(self.cert_path).read_text("ascii")
            end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
            der = ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE-----") : end])
        except (OSError, ValueError) as error:
            raise BadIdentity(self.cert_path, f"cannot be read as a PEM certificate ({error})") from error
        return "ecdsa" if _EC_KEY in der else "rsa" if _RSA_KEY in der else "other"


def set_version_range(context: ssl.SSLContext, minimum: Version, maximum: Version | None = None) -> None:
    """Set both ends in place; without a maximum it is the newest that OpenSSL knows."""
    with warnings.catch_warnings():
        # Python warns of TLS 1.0 and 1.1. Here they are admitted on purpose, and only where the floor says so.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED if maximum is None else _TLS_VERSION[maximum]
        context.minimum_version = _TLS_VERSION[minimum]


class ServerContexts:
    """The two contexts of one point: `modern` for every hello that offers TLS 1.2 or more, `early` for the rest.

    A cipher profile governs the first; the second always serves the suites of `legacy`, which TLS 1.0 needs.
    With `client_ca` (a path or PEM text) both ask for a client certificate and verify one that is given, but do not
    demand it: activation has none. One object belongs to one gate, which keeps its minimum at the lowest version
    admitted.
    """

    def __init__(
        self, identities: Sequence[ServerIdentity], *, client_ca: str | None, alpn: Sequence[str] | None = None
    ) -> None:
        self._client_ca = None if client_ca is None else _read_ca(client_ca)
        self._ca_name = _name_of(client_ca or "")
        self._alpn = list(alpn or ())
        self._minimum = Version.TLS1_2
        self._profile = DEFAULT
        # OpenSSL frees a context's list of suites when it is set: not while another thread shakes hands in memory.
        self._looking = threading.Lock()
        self.identities: tuple[ServerIdentity, ...] = ()
        self._key_types: list[str] = []
        self._install(identities)

    @property
    def client_ca(self) -> str | None:
        """The CAs that clients' certificates are verified by, PEM."""
        return self._client_ca

    @property
    def minimum(self) -> Version:
        """The lowest version that a handshake may end with."""
        return self._minimum

    def set_minimum(self, minimum: Version) -> None:
        """Change the minimum in place: a context built anew would lose its ticket keys, and so all sessions."""
        if minimum is not self._minimum:
            self._minimum = minimum
            set_version_range(self.modern, max(minimum, Version.TLS1_2, key=lambda version: version.rank))
            set_version_range(self.early, minimum)

    @property
    def profile(self) -> CipherProfile:
        """The suites that are accepted at TLS 1.2."""
        return self._profile

    def set_profile(self, profile: CipherProfile) -> None:
        """Change the suites in place, for the next handshake; TLS 1.3's own suites stay as OpenSSL has them.

        A session of before may still be resumed with a suite that is gone: whoever accepts connections checks that.
        """
        if profile is not self._profile:
            with self._looking:
                self.modern.set_ciphers(profile.openssl)
            self._profile = profile

    def reload(self, identities: Sequence[ServerIdentity]) -> None:
        """Serve these identities from the next handshake on; sessions stay resumable.

        Raises BadIdentity and keeps what was served where one cannot be used. Where a kind of key is no longer among
        them the contexts are made anew, since OpenSSL would go on serving the old certificate of that kind.
        """
        key_types = [identity.key_type for identity in identities]
        _check(identities)
        if not set(self._key_types) <= set(key_types):
            self._install(identities)
            return
        for context in (self.modern, self.early):
            _load(context, identities)
        self.identities = tuple(identities)
        self._key_types = key_types

    def trust(self, client_ca: str) -> None:
        """Verify clients by these CAs (a path or PEM text) from the next handshake on; nothing for a point without.

        More of them are added in place, and sessions stay resumable. Where one goes the contexts are made anew, since
        OpenSSL forgets none and a resumed session would skip the check. Open connections stay in both cases. Raises
        BadIdentity, and keeps what was trusted before.
        """
        if self._client_ca is None:
            return
        text = _read_ca(client_ca)
        try:
            before, after = set(certificates_in(self._client_ca)), set(certificates_in(text))
        except ValueError as error:
            raise BadIdentity(_name_of(client_ca), f"cannot be read as the clients' CA ({error})") from error
        if before == after:
            return
        former = self._client_ca, self._ca_name
        self._client_ca, self._ca_name = text, _name_of(client_ca)
        try:
            if before <= after:
                for context in (self.modern, self.early):
                    self._verify(context)
            else:
                self._install(self.identities)
        except BadIdentity:
            self._client_ca, self._ca_name = former
            raise

    def serves(self) -> dict[Version, str]:
        """What a handshake in memory really ended with, per version from the minimum on: the suites, by identity.

        A version that the local OpenSSL does not serve is missing, whatever the floor says.
        """
        served: dict[Version, str] = {}
        for version in FLOORS:
            if version < self._minimum:
                continue
            context = self.modern if version >= Version.TLS1_2 else self.early
            # TLS 1.3 suites name no key type, so there the client's choice of identity cannot be steered.
            kinds: Sequence[str | None] = (None,) if version is Version.TLS1_3 else self._key_types
            suites = [suite for kind in kinds if (suite := self._look(context, version, kind)) is not None]
            if suites:
                served[version] = ", ".join(dict.fromkeys(suites))
        return served

    def _look(self, context: ssl.SSLContext, version: Version, kind: str | None) -> str | None:
        with self._looking:
            return handshake_in_memory(context, version, kind)

    def _install(self, identities: Sequence[ServerIdentity]) -> None:
        if not identities:
            raise BadIdentity("(none)", "a listening port needs at least one certificate")
        key_types = [identity.key_type for identity in identities]
        modern = self._context(self._profile.openssl, identities)
        early = self._context(EARLY_SUITES, identities)
        set_version_range(modern, max(self._minimum, Version.TLS1_2, key=lambda version: version.rank))
        set_version_range(early, self._minimum)
        self.modern, self.early = modern, early
        self.identities = tuple(identities)
        self._key_types = key_types

    def _context(self, suites: str, identities: Sequence[ServerIdentity]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(suites)
        context.options |= (
            ssl.OP_CIPHER_SERVER_PREFERENCE
            | ssl.OP_NO_COMPRESSION
            | ssl.OP_NO_RENEGOTIATION
            | ssl.OP_SINGLE_ECDH_USE
            | ssl.OP_SINGLE_DH_USE
        )
        # One ticket per handshake instead of two: our clients hold one session, and each ticket that carries a client
        # certificate costs about a tenth of the handshake.
        context.num_tickets = 1
        _load(context, identities)
        if self._client_ca is not None:
            self._verify(context)
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        return context

    def _verify(self, context: ssl.SSLContext) -> None:
        assert self._client_ca is not None
        try:
            context.load_verify_locations(cadata=self._client_ca)
        except (ValueError, ssl.SSLError) as error:
            raise BadIdentity(self._ca_name, f"cannot be read as the clients' CA ({error})") from error
        context.verify_mode = ssl.CERT_OPTIONAL


def _read_ca(client_ca: str) -> str:
    """The PEM text of a path or of itself. Raises BadIdentity."""
    if "-----BEGIN" in client_ca:
        return client_ca
    try:
        return Path(client_ca).read_text("ascii")
    except (OSError, ValueError) as error:
        raise BadIdentity(client_ca, f"cannot be read as the clients' CA ({error})") from error


def _name_of(client_ca: str) -> str:
    return "the clients' CAs" if "-----BEGIN" in client_ca else client_ca


def _load(context: ssl.SSLContext, identities: Sequence[ServerIdentity]) -> None:
    for identity in identities:
        try:
            # Without the callback OpenSSL would ask for an encrypted key's password on the terminal, and hang there.
            context.load_cert_chain(identity.cert_path, identity.key_path, password=lambda: "")
        except FileNotFoundError as error:
            raise BadIdentity(identity.cert_path, f"it or its key {identity.key_path} does not exist") from error
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or str(error)
            raise BadIdentity(
                identity.cert_path, f"cannot be served with key {identity.key_path} ({reason})"
            ) from error


def _check(identities: Sequence[ServerIdentity]) -> None:
    """All identities load, tried on a context that nobody uses."""
    if not identities:
        raise BadIdentity("(none)", "a listening port needs at least one certificate")
    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    scratch.set_ciphers(EARLY_SUITES)
    _load(scratch, identities)


def client_context(
    *, ca: str | None, cert: str | None = None, key: str | None = None, minimum: Version = Version.TLS1_2
) -> ssl.SSLContext:
    """A client's context. `ca` is a path or PEM text; without one nothing is verified (a first look only).

    Names are not checked: whoever uses it checks role and installation in the certificate instead.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_ciphers(MODERN_SUITES if minimum >= Version.TLS1_2 else EARLY_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    set_version_range(context, minimum)
    if ca is None:
        context.verify_mode = ssl.CERT_NONE
    elif "-----BEGIN" in ca:
        context.load_verify_locations(cadata=ca)
    else:
        context.load_verify_locations(cafile=ca)
    if cert is not None:
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def served_suites(identities: Sequence[ServerIdentity], profile: CipherProfile) -> tuple[CipherSuite, ...]:
    """The profile's suites that a client of TLS 1.2 really gets with these certificates: one handshake in memory each.

    A suite needs a key of its kind and an OpenSSL that has it. Raises BadIdentity.
    """
    contexts = ServerContexts(identities, client_ca=None)
    contexts.set_profile(profile)
    client = Version.TLS1_2
    return tuple(
        suite for suite in profile.suites if handshake_in_memory(contexts.modern, client, suites=suite.openssl)
    )


def pinned_client(version: Version, key_type: str | None = None, suites: str | None = None) -> ssl.SSLContext:
    """A client that speaks exactly that version, old ones too, and believes any certificate: for looking only.

    It offers the `suites` of an OpenSSL string, else all that go with the kind of key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    suites = suites or {"ecdsa": "aECDSA", "rsa": "aRSA"}.get(key_type or "", "ALL")
    context.set_ciphers(f"{suites}:!aNULL:!eNULL:@SECLEVEL=0")
    set_version_range(context, version, version)
    return context


def handshake_in_memory(
    server: ssl.SSLContext, version: Version, key_type: str | None = None, suites: str | None = None
) -> str | None:
    """The suite that a client of that version gets from the context, without a socket; None where none is agreed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client = pinned_client(version, key_type, suites).wrap_bio(to_client, to_server)
        ends = [client, server.wrap_bio(to_server, to_client, server_side=True)]
        for _ in range(8):  # two round trips at most, and the tickets
            for end in tuple(ends):
                try:
                    end.do_handshake()
                    ends.remove(end)
                except ssl.SSLWantReadError:
                    continue
            if not ends:
                suite = client.cipher()
                return None if suite is None else suite[0]
    except (ssl.SSLError, ValueError):
        return None
    return None
