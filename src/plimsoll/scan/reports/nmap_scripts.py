"""What nmap's scripts would say of a report: the content that `nmap_text` and `nmap_xml` write.

`ssl-enum-ciphers` has nmap 7.93's names, order and words (R18), and `sslv2` those of that script. nmap drops a version
that did not answer in silence; a script result of our own, `tls-not-proved`, names what stayed open, so that nobody
takes silence for a refusal. It is there only where something did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll.scan.grade import VersionGrade, grade, least_strength
from plimsoll.scan.report import EndpointReport, Outcome, Preference, State, SuiteReport, VersionReport
from plimsoll.tls.versions import Version

ENUM_CIPHERS: Final = "ssl-enum-ciphers"
SSL2: Final = "sslv2"
NOT_PROVED: Final = "tls-not-proved"


@dataclass(frozen=True, slots=True)
class Row:
    """A table that is shown on one line: `text` for people, `fields` for programs."""

    text: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """Entries in order; a key of "" makes an entry of a list."""

    entries: tuple[tuple[str, Value], ...]


Value = str | Row | Table


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """One script's result for one port."""

    script: str
    table: Table

    def lines(self) -> Iterator[str]:
        """The result as nmap shows it, without the bars at the side."""
        yield f"{self.script}: "
        yield from _lines(self.table, "  ")


def results(report: EndpointReport) -> list[ScriptResult]:
    """The scripts that have something to say, in nmap's order."""
    found = []
    grades = {version: graded for version, graded in grade(report).items() if version is not Version.SSL2}
    if grades:
        entries: list[tuple[str, Value]] = [
            (version.label, _version(report.versions[version], graded)) for version, graded in grades.items()
        ]
        entries.append(("least strength", least_strength(grades.values()) or "unknown"))
        found.append(ScriptResult(ENUM_CIPHERS, Table(tuple(entries))))
    if Version.SSL2 in report.accepted:
        found.append(ScriptResult(SSL2, _ssl2(report.versions[Version.SSL2])))
    if (open_questions := _open_questions(report)) is not None:
        found.append(ScriptResult(NOT_PROVED, open_questions))
    return found


def nmap_name(suite: SuiteReport) -> str:
    """nmap 7.93's name of a suite: it writes an exchange (AKE) into those of TLS 1.3, and knows some by other names."""
    return _NAMES.get(suite.code) or suite.name


def _version(seen: VersionReport, graded: VersionGrade) -> Table:
    rows = []
    for one in graded.suites:
        name = nmap_name(one.suite)
        fields = {"kex_info": one.exchange, "name": name, "strength": one.letter}
        text = f"{name} ({one.exchange}) - {one.letter}" if one.exchange else f"{name} - {one.letter}"
        rows.append(Row(text, {key: value for key, value in fields.items() if value}))
    if seen.preference is not Preference.SERVER:
        rows.sort(key=lambda row: row.fields["name"])
    entries: list[tuple[str, Value]] = [("ciphers", _list(rows))]
    if seen.version is not Version.TLS1_3:
        entries.append(("compressors", _list(sorted(seen.compressors))))
    entries += _preference(seen)
    if graded.warnings:
        entries.append(("warnings", _list(graded.warnings)))
    return Table(tuple(entries))


def _preference(seen: VersionReport) -> list[tuple[str, Value]]:
    if seen.preference is not Preference.INDETERMINATE:
        return [("cipher preference", seen.preference.value)]
    if len(seen.suites) < 2 and seen.suites_complete:
        return [("cipher preference", "indeterminate"), ("cipher preference error", "Too few ciphers supported")]
    return [("cipher preference error", "not found out")]


def _ssl2(seen: VersionReport) -> Table:
    names = [suite.name.replace("SSL_CK_", "SSL2_") for suite in seen.suites]
    ciphers: Value = _list(names) if names else "none"
    return Table((("", "SSLv2 supported"), ("ciphers", ciphers)))


def _open_questions(report: EndpointReport) -> Table | None:
    """What nobody may take for a refusal, or for the whole list."""
    if report.state is State.UNREACHABLE:
        return None  # the port's own state says so
    if report.state is State.NOT_TLS:
        return Table((("", f"no TLS there: {_line(report.note)}"),))
    entries: list[tuple[str, Value]] = []
    for version, seen in sorted(report.versions.items()):
        if seen.outcome in (Outcome.INCONCLUSIVE, Outcome.NOT_ASKED):
            sentences = seen.evidence or (seen.outcome.value,)
            entries.append((version.label, _list([_line(sentence) for sentence in sentences])))
        elif seen.outcome is Outcome.ACCEPTED and not seen.suites_complete:
            entries.append((version.label, "accepted, but the list of its ciphers is not proved to be whole"))
    if report.control.held is False:
        entries.append(("control", "the version that is allowed did not answer after the refusals"))
    return Table(tuple(entries)) if entries else None


def _list(values: tuple[str, ...] | list[str] | list[Row]) -> Table:
    return Table(tuple(("", value) for value in values))


def _line(text: str) -> str:
    """A stranger's words on one line, without what could steer a terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def _lines(table: Table, indent: str) -> Iterator[str]:
    for key, value in table.entries:
        head = f"{key}: " if key else ""
        if isinstance(value, Table):
            yield indent + head
            yield from _lines(value, indent + "  ")
        else:
            yield indent + head + (value.text if isinstance(value, Row) else value)


_NAMES: Final = {
    0x001E: "TLS_KRB5_WITH_DES_CBC_SHA-or-SSL_FORTEZZA_KEA_WITH_RC4_128_SHA",
    0x004F: "TLS_ECMQV_ECDSA_NULL_SHA-draft",
    0x0053: "TLS_ECMQV_ECNRA_NULL_SHA-draft",
    0x0057: "TLS_ECDH_anon_NULL_WITH_SHA-draft",
    0x00C6: "TLS_AKE_WITH_SM4_GCM_SM3",
    0x00C7: "TLS_AKE_WITH_SM4_CCM_SM3",
    0x1301: "TLS_AKE_WITH_AES_128_GCM_SHA256",
    0x1302: "TLS_AKE_WITH_AES_256_GCM_SHA384",
    0x1303: "TLS_AKE_WITH_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AKE_WITH_AES_128_CCM_SHA256",
    0x1305: "TLS_AKE_WITH_AES_128_CCM_8_SHA256",
    0x1306: "TLS_AKE_WITH_AEGIS_256_SHA512",
    0x1307: "TLS_AKE_WITH_AEGIS_128L_SHA256",
    0xC0B4: "TLS_AKE_WITH_NULL_SHA256",
    0xC0B5: "TLS_AKE_WITH_NULL_SHA384",
}
