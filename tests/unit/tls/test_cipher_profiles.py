"""Cipher profiles as values: one list, each profile a beginning of it, and names that mean what the scanner's mean."""

from __future__ import annotations

import ssl
from itertools import pairwise

import pytest

from plimsoll.scan.profiles import load
from plimsoll.tls.cipher_profiles import DEFAULT, TLS13_SUITES, CipherProfile, UnknownProfileError, shared
from plimsoll.tls.suites import CIPHER_SUITES


def test_each_profile_is_a_beginning_of_the_next() -> None:
    for stricter, wider in pairwise(CipherProfile):
        assert wider.suites[: len(stricter.suites)] == stricter.suites
        assert stricter.is_stricter(wider)
        assert not wider.is_stricter(stricter)
        assert not stricter.is_stricter(stricter)
    assert DEFAULT is CipherProfile.INTERMEDIATE


def test_strong_is_the_two_gcm_suites_for_either_kind_of_key() -> None:
    assert {suite.name for suite in CipherProfile.STRONG.suites} == {
        f"TLS_ECDHE_{key}_WITH_AES_{size}_GCM_SHA{digest}"
        for key in ("RSA", "ECDSA")
        for size, digest in ((128, 256), (256, 384))
    }


def test_modern_is_what_the_guideline_keeps_at_tls_1_2() -> None:
    (rule,) = [rule for rule in load("mozilla-intermediate").rules if rule.id == "suites"]
    ours = {suite.name for suite in CipherProfile.MODERN.suites} | {CIPHER_SUITES[number] for number in TLS13_SUITES}
    assert ours == set(rule.parameters["suites"])


@pytest.mark.parametrize("profile", list(CipherProfile), ids=str)
def test_openssl_knows_each_suite_by_that_name_and_number(profile: CipherProfile) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(profile.openssl)
    known = [(one["id"] & 0xFFFF, one["name"]) for one in context.get_ciphers() if one["protocol"] != "TLSv1.3"]
    assert known == [(suite.number, suite.openssl) for suite in profile.suites]
    assert [one["id"] & 0xFFFF for one in context.get_ciphers() if one["protocol"] == "TLSv1.3"] == list(TLS13_SUITES)
    assert all(profile.allows(suite.openssl) for suite in profile.suites)
    assert not profile.allows("DES-CBC3-SHA")


def test_a_name_that_is_none_lists_those_that_are() -> None:
    assert CipherProfile.parse("strong") is CipherProfile.STRONG
    with pytest.raises(UnknownProfileError, match="valid are strong, modern, intermediate, legacy"):
        CipherProfile.parse("Strong")


def test_what_is_shared_comes_in_the_servers_order() -> None:
    offered = [0x002F, 0xC02F, 0xC030]
    assert [suite.number for suite in shared(offered, CipherProfile.LEGACY.suites)] == [0xC030, 0xC02F, 0x002F]
    assert shared([0x000A], CipherProfile.LEGACY.suites) == ()
