"""Names of TLS code points (IANA's registries). Numbers are kept everywhere; names are for people."""

from __future__ import annotations

from typing import Final

from plimsoll.tls.suites import CIPHER_SUITES, SSL2_KINDS

#: GREASE values (RFC 8701): sent at random by clients so that servers learn to ignore the unknown.
GREASE: Final = frozenset(byte << 8 | byte for byte in range(0x0A, 0x100, 0x10))

FALLBACK_SCSV: Final = 0x5600
RENEGOTIATION_SCSV: Final = 0x00FF

EXT_SERVER_NAME: Final = 0
EXT_GROUPS: Final = 10
EXT_SIGNATURE_ALGORITHMS: Final = 13
EXT_ALPN: Final = 16
EXT_PADDING: Final = 21
EXT_SUPPORTED_VERSIONS: Final = 43
EXT_KEY_SHARE: Final = 51

EXTENSIONS: Final = {
    0: "server_name", 1: "max_fragment_length", 2: "client_certificate_url", 3: "trusted_ca_keys",
    4: "truncated_hmac", 5: "status_request", 6: "user_mapping", 7: "client_authz", 8: "server_authz",
    9: "cert_type", 10: "supported_groups", 11: "ec_point_formats", 12: "srp", 13: "signature_algorithms",
    14: "use_srtp", 15: "heartbeat", 16: "application_layer_protocol_negotiation", 17: "status_request_v2",
    18: "signed_certificate_timestamp", 19: "client_certificate_type", 20: "server_certificate_type",
    21: "padding", 22: "encrypt_then_mac", 23: "extended_master_secret", 24: "token_binding", 25: "cached_info",
    27: "compress_certificate", 28: "record_size_limit", 34: "delegated_credential", 35: "session_ticket",
    41: "pre_shared_key", 42: "early_data", 43: "supported_versions", 44: "cookie", 45: "psk_key_exchange_modes",
    47: "certificate_authorities", 48: "oid_filters", 49: "post_handshake_auth",
    50: "signature_algorithms_cert", 51: "key_share", 57: "quic_transport_parameters",
    13172: "next_protocol_negotiation", 17513: "application_settings", 17613: "application_settings_new",
    65037: "encrypted_client_hello", 65281: "renegotiation_info",
}  # fmt: skip

GROUPS: Final = {
    1: "sect163k1", 2: "sect163r1", 3: "sect163r2", 4: "sect193r1", 5: "sect193r2", 6: "sect233k1",
    7: "sect233r1", 8: "sect239k1", 9: "sect283k1", 10: "sect283r1", 11: "sect409k1", 12: "sect409r1",
    13: "sect571k1", 14: "sect571r1", 15: "secp160k1", 16: "secp160r1", 17: "secp160r2", 18: "secp192k1",
    19: "secp192r1", 20: "secp224k1", 21: "secp224r1", 22: "secp256k1", 23: "secp256r1", 24: "secp384r1",
    25: "secp521r1", 26: "brainpoolP256r1", 27: "brainpoolP384r1", 28: "brainpoolP512r1", 29: "x25519",
    30: "x448", 31: "brainpoolP256r1tls13", 32: "brainpoolP384r1tls13", 33: "brainpoolP512r1tls13",
    256: "ffdhe2048", 257: "ffdhe3072", 258: "ffdhe4096", 259: "ffdhe6144", 260: "ffdhe8192",
    512: "MLKEM512", 513: "MLKEM768", 514: "MLKEM1024", 4587: "SecP256r1MLKEM768", 4588: "X25519MLKEM768",
    4589: "SecP384r1MLKEM1024", 25497: "X25519Kyber768Draft00", 65281: "arbitrary_explicit_prime_curves",
    65282: "arbitrary_explicit_char2_curves",
}  # fmt: skip

SIGNATURE_SCHEMES: Final = {
    0x0101: "rsa_md5", 0x0201: "rsa_pkcs1_sha1", 0x0202: "dsa_sha1", 0x0203: "ecdsa_sha1", 0x0301: "rsa_sha224",
    0x0302: "dsa_sha224", 0x0303: "ecdsa_sha224", 0x0401: "rsa_pkcs1_sha256", 0x0402: "dsa_sha256",
    0x0403: "ecdsa_secp256r1_sha256", 0x0501: "rsa_pkcs1_sha384", 0x0502: "dsa_sha384",
    0x0503: "ecdsa_secp384r1_sha384", 0x0601: "rsa_pkcs1_sha512", 0x0602: "dsa_sha512",
    0x0603: "ecdsa_secp521r1_sha512", 0x0804: "rsa_pss_rsae_sha256", 0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512", 0x0807: "ed25519", 0x0808: "ed448", 0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384", 0x080B: "rsa_pss_pss_sha512", 0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384", 0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
    0x0904: "mldsa44", 0x0905: "mldsa65", 0x0906: "mldsa87",
}  # fmt: skip


def is_grease(number: int) -> bool:
    """True for one of the sixteen values that mean nothing."""
    return number in GREASE


def extension_name(number: int) -> str:
    """The extension's name, or its number where it has none here."""
    return _name(EXTENSIONS, number)


def group_name(number: int) -> str:
    """The group's name, or its number where it has none here."""
    return _name(GROUPS, number)


def scheme_name(number: int) -> str:
    """The signature scheme's name, or its number where it has none here."""
    return _name(SIGNATURE_SCHEMES, number)


def suite_name(number: int) -> str:
    """The cipher suite's name, or its number where it has none here; SSL 2's kinds are above 0xFFFF."""
    return _name(CIPHER_SUITES if number <= 0xFFFF else SSL2_KINDS, number)


def _name(table: dict[int, str], number: int) -> str:
    return table.get(number) or ("GREASE" if number in GREASE else f"0x{number:04x}")
