"""The parts of suites: by hand for the odd ones, and for all of them against what nmap reads out of the same names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.suite_parts import SuiteParts, parts
from plimsoll.tls.suites import CIPHER_SUITES, SSL2_KINDS

SCRIPT = """
local tls = require "tls"
local stdnse = require "stdnse"
local table = require "table"
author = "tests"
categories = {"safe"}
prerule = function() return true end
action = function()
  local lines = {}
  for name, code in pairs(tls.CIPHERS) do
    local info = tls.cipher_info(name)
    local kex = tls.KEX_ALGORITHMS[info.kex] or {}
    lines[#lines + 1] = ("%d %s %s %s %s %s %s"):format(code, info.size or "-", info.block_size or "-",
      info.mode or "-", info.hash or "-", tostring(kex.pfs or false), tostring(kex.anon or false))
  end
  return "\\n" .. table.concat(lines, "\\n")
end
"""


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        (0xC02F, ("ECDHE", "RSA", "AES", 128, "GCM", "SHA256", 0, True, False)),
        (0xCCA9, ("ECDHE", "ECDSA", "CHACHA20", 256, "POLY1305", "SHA256", 0, True, False)),
        (0x000A, ("RSA", "RSA", "3DES", 112, "CBC", "SHA", 0, False, False)),
        (0x0003, ("RSA", "RSA", "RC4", 40, "stream", "MD5", 512, False, False)),
        (0x0062, ("RSA", "RSA", "DES", 56, "CBC", "SHA", 1024, False, False)),
        (0x0034, ("DHE", "anon", "AES", 128, "CBC", "SHA", 0, True, False)),
        (0xC0A3, ("DHE", "RSA", "AES", 256, "CCM_8", "SHA256", 0, True, False)),
        (0xC0AA, ("DHE_PSK", "PSK", "AES", 128, "CCM_8", "SHA256", 0, True, False)),
        (0x1301, ("", "", "AES", 128, "GCM", "SHA256", 0, True, True)),
        (0x1305, ("", "", "AES", 128, "CCM_8", "SHA256", 0, True, True)),
        (0x1307, ("", "", "AEGIS", 128, "AEGIS", "SHA256", 0, True, True)),
        (0xC0B4, ("", "", "NULL", 0, "", "SHA256", 0, True, True)),
        (0x040080, ("RSA", "RSA", "RC2", 40, "CBC", "MD5", 512, False, False)),
        (0x0700C0, ("RSA", "RSA", "3DES", 112, "CBC", "MD5", 0, False, False)),
        (0x5600, ("", "", "", None, "", "", 0, False, False)),
    ],
)
def test_parts(suite: int, expected: tuple[object, ...]) -> None:
    found = parts(suite)
    assert expected == (
        found.kex, found.auth, found.cipher, found.bits, found.mode, found.mac, found.export, found.forward_secret,
        found.post_tls13,
    )  # fmt: skip


def test_what_people_ask_of_a_suite() -> None:
    assert parts("TLS_DH_anon_WITH_AES_128_CBC_SHA").anonymous
    assert parts("TLS_RSA_WITH_NULL_SHA256").null
    assert parts("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256").aead
    assert not parts("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA").aead


def test_every_known_suite_has_its_parts() -> None:
    for code in (*CIPHER_SUITES, *SSL2_KINDS):
        found = parts(code)
        assert found.name.endswith("_SCSV") or (found.cipher and found.mac) or found.kex == "GOST", found
        assert found.post_tls13 or found.kex or found.name.endswith("_SCSV"), found


def test_all_agree_with_what_nmap_reads(tmp_path: Path) -> None:
    script = tmp_path / "suites.nse"
    script.write_text(SCRIPT)
    done = subprocess.run(["nmap", "--script", str(script)], capture_output=True, text=True, timeout=30, check=True)
    rows = [line.strip("|_ ").split() for line in done.stdout.splitlines()]
    seen = {int(row[0]): row[1:] for row in rows if len(row) == 7 and row[0].isdigit()}
    assert len(seen) > 390
    assert set(seen) <= set(CIPHER_SUITES)
    for code, (size, block, _, _, pfs, anonymous) in seen.items():
        ours = parts(code)
        if ours.kex == "GOST" and ours.cipher == "NULL":
            continue  # nmap knows no strength of these, though they encrypt nothing
        assert (size == "-") == (ours.bits is None) or ours.bits == 0, (ours, size)
        assert size == "-" or int(size) == ours.bits, (ours, size)
        assert ours.block_bits == 0 or block in ("-", str(ours.block_bits)), (ours, block)
        assert anonymous == str(ours.anonymous).lower() or "draft" in ours.name, ours
        # nmap counts no anonymous exchange, having no secret to lose, and has lost its row of DHE_DSS_EXPORT1024.
        exempt = ours.anonymous or ours.kex == "ECCPWD" or ours.export == 1024
        assert exempt or pfs == str(ours.forward_secret).lower(), (ours, pfs)


@given(st.one_of(st.text(max_size=60), st.integers(0, 0xFFFFFF)))
def test_nothing_is_an_error(suite: int | str) -> None:
    assert isinstance(parts(suite), SuiteParts)
