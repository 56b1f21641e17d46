"""An endpoint as nmap sees it: an address, names, and one port with a state and a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll.scan.report import EndpointReport, State

#: IANA's names of the ports where TLS is met most (nmap shows the name that is registered, whatever runs there).
_SERVICES: Final = {
    21: "ftp", 25: "smtp", 110: "pop3", 119: "nntp", 143: "imap", 389: "ldap", 443: "https", 465: "smtps",
    563: "snews", 587: "submission", 636: "ldapssl", 853: "domain-s", 989: "ftps-data", 990: "ftps", 993: "imaps",
    995: "pop3s", 1433: "ms-sql-s", 3268: "globalcatLDAP", 3269: "globalcatLDAPssl", 3306: "mysql",
    3389: "ms-wbt-server", 4118: "netscript", 4119: "assuria-slm", 4120: "minirem", 4122: "fprams",
    5061: "sip-tls", 5222: "xmpp-client", 5269: "xmpp-server", 5432: "postgresql", 5671: "amqps",
    6514: "syslog-tls", 6697: "ircs-u", 8443: "https-alt", 8883: "secure-mqtt",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PortView:
    """One endpoint. `address` is "" where the name did not resolve; `name` is "" where an address was given."""

    address: str
    name: str
    port: int
    state: str
    reason: str
    service: str


def port_view(report: EndpointReport) -> PortView:
    """How nmap would call what was seen."""
    target = report.target
    is_address = ":" in target.host or target.host.replace(".", "").isdigit()
    address = report.address or (target.host if is_address else "")
    state, reason = "open", "syn-ack"
    if report.state is State.UNREACHABLE:
        refused = report.note.startswith("connection refused")
        state, reason = ("closed", "conn-refused") if refused else ("filtered", "no-response")
    name = "" if is_address else target.host
    return PortView(address, name, target.port, state, reason, _SERVICES.get(target.port, "unknown"))
