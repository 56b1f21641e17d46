"""Names of code points."""

from __future__ import annotations

from plimsoll.tls.codepoints import (
    EXTENSIONS,
    GREASE,
    GROUPS,
    SIGNATURE_SCHEMES,
    extension_name,
    group_name,
    is_grease,
    scheme_name,
    suite_name,
)
from plimsoll.tls.suites import CIPHER_SUITES


def test_the_sixteen_grease_values() -> None:
    assert len(GREASE) == 16
    assert {0x0A0A, 0x1A1A, 0xFAFA} <= GREASE
    assert is_grease(0x2A2A)
    assert not is_grease(0x0A1A)


def test_names_and_numbers_for_people() -> None:
    assert suite_name(0xC030) == "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    assert suite_name(0x010080) == "SSL_CK_RC4_128_WITH_MD5"
    assert suite_name(0xFAFA) == "GREASE"
    assert suite_name(0xEEEE) == "0xeeee"
    assert group_name(4588) == "X25519MLKEM768"
    assert scheme_name(0x0804) == "rsa_pss_rsae_sha256"
    assert extension_name(43) == "supported_versions"
    assert extension_name(0xFE0D) == "encrypted_client_hello"


def test_names_are_unique() -> None:
    for table in (CIPHER_SUITES, EXTENSIONS, GROUPS, SIGNATURE_SCHEMES):
        assert len(set(table.values())) == len(table)
        assert not GREASE & set(table)
