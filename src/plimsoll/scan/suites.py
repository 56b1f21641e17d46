"""Which suites a version accepts, in whose order: offer, strike out what was chosen, offer again until it says no.

Every hello shows one accepted suite at most, so that n + 1 hellos is the least there can be, and the server's order
comes with them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from plimsoll.scan import groups as groups_script
from plimsoll.scan.asking import Answer, Ask, Kind, Script, Want
from plimsoll.scan.hellos import CLASSIC, COMPRESSORS, is_chacha, suites_before_12, suites_early
from plimsoll.scan.knowledge import CHUNKS, FEW, FINAL, REFUSALS, WHOLE, Finding, Known
from plimsoll.scan.report import Preference
from plimsoll.tls.alerts import Alert
from plimsoll.tls.codepoints import suite_name
from plimsoll.tls.versions import Version

#: What ends a chain: the server's word that nothing of the rest is for it.
_ENDS: Final = REFUSALS | {FINAL}
#: Guesses of one chain that may fail.
_MISSES: Final = 2
#: A hello with the suites found must stay small where only small ones pass.
_FEW: Final = 32


def note(finding: Finding, answer: Answer) -> int:
    """Keep what an answer shows about the suite that it chose."""
    assert answer.hello is not None
    suite = answer.hello.cipher_suite
    finding.suites.append(suite)
    flight = answer.flight
    if finding.version is Version.TLS1_3:
        if answer.hello.group is not None:
            finding.exchanges[suite] = answer.hello.group
    elif flight is not None:
        if flight.exchange is not None:
            finding.exchanges[suite] = flight.exchange
        if flight.certificates:
            finding.chains[suite] = flight.certificates
    return suite


def enumerate_suites(
    known: Known, finding: Finding, offer: Sequence[int], rest: list[Sequence[int]], first: Answer
) -> Script[None]:
    """All suites of a version, their order, the compressors and the groups, from the first accepted offer on."""
    compression = first.hello.compression if first.hello is not None else 0
    runs: list[list[int]] = []
    pools: list[Sequence[int]] = [offer, *rest]
    if finding.form is FEW:
        others = [code for pool in known.hellos.chunks(finding.version, _all(finding)) for code in pool]
        others = [code for code in others if code not in CLASSIC]
        pools += [others[at : at + len(CLASSIC)] for at in range(0, len(others), len(CLASSIC))]
    finding.suites_complete = True
    if not known.order and finding.form is WHOLE and known.width > 1:
        yield from _side_by_side(known, finding, pools.pop(0), first)
        finding.suites.sort(key=list(offer).index)
    answer: Answer | None = first
    while pools:
        before = len(finding.suites)
        left = yield from _strike_out(known, finding, pools.pop(0), answer)
        answer = None
        if len(finding.suites) > before:
            runs.append(finding.suites[before:])
        if left:
            pools = _smaller(known, finding, left) + pools
    if len(runs) > 1 and known.order:
        finding.suites = yield from _merge(known, finding, runs)
    if known.order:
        if finding.suites_complete:
            known.orders.add(finding.version, finding.suites)
        yield from _preference(known, finding)
    yield from _compressors(known, finding, compression)
    if known.groups:
        yield from groups_script.enumerate_groups(known, finding)


def _all(finding: Finding) -> tuple[int, ...]:
    return suites_early() if finding.version is Version.TLS1_2 else suites_before_12()


def _strike_out(known: Known, finding: Finding, pool: Sequence[int], answer: Answer | None) -> Script[list[int]]:
    """Ask until the pool is refused. Gives what is left where the end was no refusal, to be asked in another form."""
    remaining = list(pool)
    before = len(finding.suites)
    ahead = _Ahead(known, finding, pool)
    while remaining:
        if answer is None:
            answer = ahead.answer(remaining)
        if answer is None:
            answer = ahead.keep((yield ahead.ask(remaining, finding.suites[before:])))
        if finding.has_chosen(answer):
            assert answer.hello is not None
            if answer.hello.cipher_suite not in remaining:
                finding.suites_complete = False
                finding.evidence.append(f"chose {suite_name(answer.hello.cipher_suite)}, which was not offered")
                return []
            remaining.remove(note(finding, answer))
            answer = None
        elif answer.kind is Kind.ALERT and answer.alert in _ENDS:
            return []
        else:
            if finding.form is not WHOLE and finding.form is not CHUNKS:
                finding.suites_complete = False
                finding.evidence.append(f"the list of suites ended with {answer}")
                return []
            finding.evidence.append(f"{answer} to the rest of the suites; asked in smaller hellos")
            return remaining
    return []


class _Ahead:
    """Questions of a chain that go out before the answers they depend on, by an order that fitted so far.

    An answer counts only where its question turns out to be the very one that the chain asks next.
    """

    def __init__(self, known: Known, finding: Finding, pool: Sequence[int]) -> None:
        self._known = known
        self._finding = finding
        self._pool = pool
        self._offers: list[list[int]] = []
        self._answers: deque[tuple[list[int], Answer]] = deque()
        self._misses = 0

    def ask(self, remaining: list[int], seen: list[int]) -> Ask:
        """The question with those suites, and beside it those that are likely to follow."""
        known, finding = self._known, self._finding
        guessed: list[int] = []
        if known.width > 1 and finding.form is WHOLE and self._misses < _MISSES:
            guessed = known.orders.guess(finding.version, self._pool, seen) or []
        self._offers = []
        offer = remaining
        for code in guessed[: 2 * known.width - 1]:
            offer = [other for other in offer if other != code]
            if offer:
                self._offers.append(offer)
        ask = self._asked(remaining)
        ask.beside = tuple(self._asked(offer) for offer in self._offers)
        return ask

    def _asked(self, offer: list[int]) -> Ask:
        want = Want.FIRST if self._finding.version is Version.TLS1_3 else Want.FLIGHT
        return self._finding.ask(self._known, offer, f"{self._finding.version.label}, suites", want)

    def keep(self, answer: Answer) -> Answer:
        """Keep the answers beside this one for their turn."""
        self._answers = deque(zip(self._offers, answer.beside, strict=True))
        return answer

    def answer(self, remaining: list[int]) -> Answer | None:
        """The answer to exactly this offer, if it was guessed."""
        if not self._answers:
            return None
        offer, answer = self._answers.popleft()
        if offer == remaining:
            return answer
        self._answers.clear()
        self._misses += 1
        return None


def _side_by_side(known: Known, finding: Finding, pool: Sequence[int], first: Answer) -> Script[None]:
    """All suites in no order: disjoint lists, struck out at the same time. What broke off is asked again as a chain."""
    assert first.hello is not None
    rest = [code for code in pool if code != first.hello.cipher_suite]
    lists = [rest[at :: known.width] for at in range(known.width)]
    label = f"{finding.version.label}, suites"
    want = Want.FIRST if finding.version is Version.TLS1_3 else Want.FLIGHT
    note(finding, first)
    open_lists: list[list[int]] = []
    while lists := [offer for offer in lists if offer]:
        ask, *beside = (finding.ask(known, offer, label, want) for offer in lists)
        ask.beside = tuple(beside)
        answer = yield ask
        going: list[list[int]] = []
        for offer, each in zip(lists, (answer, *answer.beside), strict=True):
            if finding.has_chosen(each) and each.hello is not None and each.hello.cipher_suite in offer:
                offer.remove(note(finding, each))
                going.append(offer)
            elif each.kind is not Kind.ALERT or each.alert not in _ENDS:
                open_lists.append(offer)
        lists = going
    for offer in open_lists:
        pools: list[Sequence[int]] = [offer]
        while pools:
            left = yield from _strike_out(known, finding, pools.pop(0), None)
            if left:
                pools = _smaller(known, finding, left) + pools


def _smaller(known: Known, finding: Finding, left: list[int]) -> list[Sequence[int]]:
    """The rest in the next smaller form."""
    if finding.form is WHOLE:
        finding.form = CHUNKS
        return known.hellos.chunks(finding.version, left, named=finding.named)
    finding.form = FEW
    return [left[at : at + len(CLASSIC)] for at in range(0, len(left), len(CLASSIC))]


def _merge(known: Known, finding: Finding, runs: list[list[int]]) -> Script[list[int]]:
    """One order from several ordered runs: the heads of all compete, the winner is the next."""
    heads = [list(run) for run in runs]
    merged: list[int] = []
    while len(heads) > 1:
        answer = yield finding.ask(known, [run[0] for run in heads], f"{finding.version.label}, order")
        suite = answer.hello.cipher_suite if finding.has_chosen(answer) and answer.hello is not None else -1
        winner = next((run for run in heads if run[0] == suite), None)
        if winner is None:
            finding.evidence.append(f"the order of {len(runs)} lists of suites stayed open: {answer}")
            break
        merged.append(winner.pop(0))
        heads = [run for run in heads if run]
    return merged + [code for run in heads for code in run]


def _preference(known: Known, finding: Finding) -> Script[None]:
    """Whose order counts: the list turned round, ChaCha20 kept last, and a second order where the first fits both.

    A server that puts ChaCha20 first for those who do would look like one that follows its clients (SSL Labs falls for
    it), so the pair that decides holds no ChaCha20 where there are two others.
    """
    plain = [code for code in finding.suites if not is_chacha(code)]
    chacha = [code for code in finding.suites if is_chacha(code)]
    if len(plain) < 2:
        if len(finding.suites) > 1:
            yield from _preference_of_few(known, finding, plain, chacha)
        return
    asked = plain if finding.form is WHOLE or len(plain) <= _FEW else plain[:_FEW]
    first = yield from _choice(known, finding, [*reversed(asked), *chacha])
    if first is not None and (first == asked[0] or first in chacha):
        behind = len(asked) - 1 if first == asked[0] else len(asked)
        finding.preference = Preference.SERVER
        finding.evidence.append(f"chooses {suite_name(first)} from its place behind {behind} others")
        yield from _chacha_first(known, finding, plain, chacha)
    elif first == asked[-1]:
        yield from _second_order(known, finding, asked, chacha)
    elif first is not None:
        finding.evidence.append(f"neither its own order nor the client's: chose {suite_name(first)}")


def _second_order(known: Known, finding: Finding, asked: list[int], chacha: list[int]) -> Script[None]:
    middle = len(asked) // 2
    second = yield from _choice(known, finding, [*asked[middle:], *asked[:middle], *chacha])
    if second == asked[middle]:
        finding.preference = Preference.CLIENT
        finding.evidence.append("chooses what the client puts first, in two different orders")
    elif second is not None:
        finding.evidence.append(f"follows one order of the client and not another: chose {suite_name(second)}")


def _chacha_first(known: Known, finding: Finding, plain: list[int], chacha: list[int]) -> Script[None]:
    if not chacha or finding.suites[0] in chacha:
        return
    chosen = yield from _choice(known, finding, [*chacha, *(plain if finding.form is WHOLE else plain[:_FEW])])
    if chosen in chacha:
        finding.evidence.append("its own order, but ChaCha20 first for clients that put it first")


def _preference_of_few(known: Known, finding: Finding, plain: list[int], chacha: list[int]) -> Script[None]:
    """One suite beside ChaCha20, or ChaCha20 only: both orders, and the case that they cannot tell."""
    pair = [*plain, *chacha] if plain else chacha
    ahead = yield from _choice(known, finding, pair)
    behind = yield from _choice(known, finding, list(reversed(pair)))
    if ahead is None or behind is None:
        return
    if ahead == behind:
        finding.preference = Preference.SERVER
    elif plain:
        finding.evidence.append(
            "follows the client, or puts ChaCha20 first for clients that do: its suites cannot tell"
        )
    elif (ahead, behind) == (pair[0], pair[-1]):
        finding.preference = Preference.CLIENT


def _choice(known: Known, finding: Finding, suites: list[int]) -> Script[int | None]:
    answer = yield finding.ask(known, suites, f"{finding.version.label}, preference")
    if finding.has_chosen(answer) and answer.hello is not None and answer.hello.cipher_suite in suites:
        return answer.hello.cipher_suite
    finding.evidence.append(f"whose order counts stayed open: {answer}")
    return None


def _compressors(known: Known, finding: Finding, chosen: int) -> Script[None]:
    """What else it would compress with: the methods offered again without the one that it chose."""
    offered = list(finding.form.compressors)
    while True:
        finding.compressors.append(COMPRESSORS.get(chosen, f"method {chosen}"))
        if chosen == 0 or chosen not in offered or finding.version is Version.TLS1_3:
            return
        offered.remove(chosen)
        hello = known.hello(finding.version, finding.form, finding.suites, finding.named, compressors=bytes(offered))
        answer = yield Ask(hello, label=f"{finding.version.label}, compression")
        if not finding.has_chosen(answer) or answer.hello is None:
            if answer.alert not in (*_ENDS, Alert.DECODE_ERROR):
                finding.evidence.append(f"the list of compressors ended with {answer}")
            return
        chosen = answer.hello.compression
