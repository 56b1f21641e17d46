"""Key-exchange groups: in TLS 1.3 by HelloRetryRequest, which names the group and costs the server no key; before it by
the ServerKeyExchange of elliptic-curve suites.
"""

from __future__ import annotations

from typing import Final

from plimsoll.scan.asking import Answer, Ask, Kind, Script, Want
from plimsoll.scan.hellos import GROUPS_13, GROUPS_EARLY, GROUPS_SMALL
from plimsoll.scan.knowledge import FINAL, REFUSALS, RETRY, WHOLE, Finding, Known
from plimsoll.tls.alerts import Alert
from plimsoll.tls.codepoints import group_name, suite_name
from plimsoll.tls.flight import exchange_kind
from plimsoll.tls.spki import public_key
from plimsoll.tls.versions import Version

#: OpenSSL answers 40 where no group is left, GnuTLS 47, some 109.
_ENDS: Final = REFUSALS | {FINAL, Alert.MISSING_EXTENSION}
#: Groups in one hello where a longer list was not answered.
_FEW: Final = 5
_CURVES: Final = {"secp256r1": 23, "secp384r1": 24, "secp521r1": 25}


def enumerate_groups(known: Known, finding: Finding) -> Script[None]:
    """All groups of a version that it accepts."""
    if finding.version is Version.TLS1_3:
        yield from _groups_13(known, finding)
    elif finding.version is not Version.SSL3:
        yield from _groups_early(known, finding)


def _groups_13(known: Known, finding: Finding) -> Script[None]:
    pools = [list(GROUPS_13)]
    if finding.form is not RETRY:
        pools = [list(GROUPS_13[at : at + _FEW]) for at in range(0, len(GROUPS_13), _FEW)]
    first = finding.hello.group if finding.hello is not None and finding.form is RETRY else None
    finding.groups_complete = True
    for pool in pools:
        if first in pool:
            pool.remove(first)
            finding.groups.append(first)
        while pool and (group := (yield from _next_13(known, finding, pool))) is not None:
            pool.remove(group)
            finding.groups.append(group)


def _next_13(known: Known, finding: Finding, pool: list[int]) -> Script[int | None]:
    hello = known.hellos.tls13(finding.suites, named=finding.named, groups=tuple(pool))
    answer = yield Ask(hello, label="TLSv1.3, groups")
    if finding.has_chosen(answer) and answer.hello is not None:
        group = answer.hello.group
        if group in pool:
            return group
        finding.evidence.append(f"asked for group {group_name(group or 0)}, which was not offered")
        finding.groups_complete = False
        return None
    _end(finding, answer)
    return None


def _end(finding: Finding, answer: Answer) -> None:
    if answer.kind is not Kind.ALERT or answer.alert not in _ENDS:
        finding.groups_complete = False
        finding.evidence.append(f"the list of groups ended with {answer}")


def _groups_early(known: Known, finding: Finding) -> Script[None]:
    """Curves, by suites that name one. Those signed by an EC certificate need its own curve in every hello."""
    curved = [code for code in finding.suites if exchange_kind(code) == "ecdh"]
    free = [code for code in curved if "_ECDSA_" not in suite_name(code)]
    suites = free or curved
    if not suites:
        finding.groups_complete = finding.suites_complete
        return
    kept = None if free else _certificate_curve(finding, suites)
    pool = [code for code in (GROUPS_EARLY if finding.form is WHOLE else GROUPS_SMALL) if not 256 <= code < 512]
    _take_first(finding, suites, pool)
    complete = finding.form is WHOLE
    if kept in finding.groups:
        pool.append(kept)
    while pool:
        hello = known.hello(finding.version, finding.form, tuple(suites), finding.named, groups=tuple(pool))
        answer = yield Ask(hello, Want.FLIGHT, label=f"{finding.version.label}, groups")
        exchange = answer.flight.exchange if finding.has_chosen(answer) and answer.flight is not None else None
        if exchange is None or exchange.group not in pool:
            _end(finding, answer)
            complete = complete and answer.kind is Kind.ALERT and answer.alert in _ENDS
            break
        group = exchange.group
        if group in finding.groups:
            # Only the certificate's own curve is ever offered twice. A server that chose another one beside it follows
            # the client's order, so that now nothing else is left; of another server this cannot be told.
            if finding.groups[-1] == group:
                complete = False
                finding.evidence.append(f"{group_name(group)}, the certificate's own curve, hides the rest")
            break
        pool.remove(group)
        finding.groups.append(group)
        if group == kept:
            pool.append(group)
    finding.groups_complete = complete


def _take_first(finding: Finding, suites: list[int], pool: list[int]) -> None:
    """The group that the chain of suites has shown already, if all groups had been offered there."""
    for code in suites:
        exchange = finding.exchanges.get(code)
        if exchange is not None and not isinstance(exchange, int) and exchange.group in pool:
            pool.remove(exchange.group)
            finding.groups.append(exchange.group)
            return


def _certificate_curve(finding: Finding, suites: list[int]) -> int | None:
    for code in suites:
        chain = finding.chains.get(code)
        if chain:
            return _CURVES.get(public_key(chain[0]).curve)
    return None
