"""Profiles: sets of rules with their sources, and what they say of a report.

A profile *holds* where every rule holds, *does not hold* where one fails, and is *not proved* where none fails but a
question stayed open. The rules of a standard lie in `data/*.toml`; `floor:VERSION` is made for any floor.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from plimsoll.scan.checks import CHECKS, run
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.tls.versions import FLOORS, UnknownVersionError, Version

#: The profiles that come from a standard; beside them there is `floor:` with any of the floors.
STANDARDS: Final = ("mozilla-intermediate", "mozilla-modern", "nist-800-52r2", "pci-dss-4.0.1", "pq-ready")
FLOOR: Final = "floor:"
NAMES: Final = (*(f"{FLOOR}{version}" for version in FLOORS), *STANDARDS)

_EXIT_CODES: Final = {Verdict.HOLDS: 0, Verdict.FAILS: 3, Verdict.NOT_PROVED: 4}
_HEAD: Final = {"title", "date", "source", "note", "rule"}
_RULE: Final = ("id", "sentence", "source", "check")
#: Why a version must not be accepted, beside the floor itself.
_PROHIBITED: Final = {
    Version.SSL2: "RFC 6176",
    Version.SSL3: "RFC 7568",
    Version.TLS1_0: "RFC 8996",
    Version.TLS1_1: "RFC 8996",
}


class ProfileError(ValueError):
    """A profile that is not known, or whose data cannot be used. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `sentence` says what must be so, `source` where in the profile's source that stands."""

    id: str
    sentence: str
    source: str
    check: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of rules. `source` is the document, `date` its day, `note` what of it a handshake cannot show."""

    name: str
    title: str
    source: str
    date: str
    rules: tuple[Rule, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule comes to. `reasons` are sentences: what failed and what is open, or what speaks for it."""

    rule: Rule
    verdict: Verdict
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileVerdict:
    """What a profile comes to at one endpoint."""

    profile: Profile
    target: Target
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """One failed rule fails the profile, else one open question leaves it open."""
        return Verdict.of_all(finding.verdict for finding in self.findings)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.FAILS)

    @property
    def open(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.NOT_PROVED)

    def __str__(self) -> str:
        sentence = f"{self.profile.name} {_SAID[self.verdict]} at {self.target}"
        named = self.failed or self.open
        reasons = [f"{finding.rule.id}: {'; '.join(finding.reasons)}" for finding in named]
        return f"{sentence} ({' / '.join(reasons)})" if reasons else sentence


_SAID: Final = {Verdict.HOLDS: "holds", Verdict.FAILS: "does not hold", Verdict.NOT_PROVED: "is not proved"}


def judge(report: EndpointReport, profile: Profile | str) -> ProfileVerdict:
    """What the profile says of the report. Raises ProfileError for an unknown name."""
    if isinstance(profile, str):
        profile = load(profile)
    findings = []
    for rule in profile.rules:
        judged = run(rule.check, report, rule.parameters)
        findings.append(Finding(rule, judged.verdict, judged.reasons))
    return ProfileVerdict(profile, report.target, tuple(findings))


def exit_code(verdicts: Iterable[ProfileVerdict | Verdict]) -> int:
    """0 where all hold and are proved, 3 where one does not hold, else 4: also where there is nothing to judge."""
    plain = [verdict.verdict if isinstance(verdict, ProfileVerdict) else verdict for verdict in verdicts]
    return _EXIT_CODES[Verdict.of_all(plain)]


@lru_cache(maxsize=16)
def load(name: str) -> Profile:
    """The profile of that name. Raises ProfileError, whose message lists the known ones."""
    if name.startswith(FLOOR):
        try:
            return floor_profile(Version.parse_floor(name.removeprefix(FLOOR)))
        except UnknownVersionError as error:
            raise ProfileError(f"unknown profile {name!r}: {error}") from error
    if name not in STANDARDS:
        raise ProfileError(f"unknown profile {name!r}; known are {', '.join(NAMES)}")
    text = resources.files("plimsoll.scan").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return parse(name, text)


def floor_profile(floor: Version) -> Profile:
    """Every version below the floor is refused, and one from the floor on is accepted."""
    source = f"the floor asked for ({floor})"
    rules = [
        Rule(
            f"{version.value.lower()}-refused",
            f"{version.label} is refused",
            f"{source}; {_PROHIBITED[version]}" if version in _PROHIBITED else source,
            "versions-refused",
            {"versions": (version.value,)},
        )
        for version in Version
        if version < floor
    ]
    newer = tuple(version.value for version in Version if version >= floor)
    rules.append(
        Rule("accepted", f"{floor.label} or newer is accepted", source, "version-accepted", {"versions": newer})
    )
    return Profile(f"{FLOOR}{floor}", f"Floor {floor.label}", source, "", tuple(rules))


def parse(name: str, text: str) -> Profile:
    """A profile from its data. Raises ProfileError for what it does not know, so that a slip is loud."""
    try:
        data = tomllib.loads(text)
        if unknown := set(data) - _HEAD:
            raise ProfileError(f"profile {name}: unknown {', '.join(sorted(unknown))}")
        rules = tuple(_rule(name, row) for row in data["rule"])
        if len({rule.id for rule in rules}) != len(rules):
            raise ProfileError(f"profile {name}: two rules have one id")
        return Profile(name, data["title"], data["source"], str(data["date"]), rules, data.get("note", ""))
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ProfileError(f"profile {name}: {error!r}") from error


def _rule(name: str, row: Mapping[str, Any]) -> Rule:
    where = f"profile {name}, rule {row.get('id', '?')}"
    if missing := [key for key in _RULE if not row.get(key)]:
        raise ProfileError(f"{where}: {', '.join(missing)} is missing")
    if row["check"] not in CHECKS:
        raise ProfileError(f"{where}: unknown check {row['check']!r}")
    parameters = {key.replace("-", "_"): value for key, value in row.items() if key not in _RULE}
    try:
        inspect.signature(CHECKS[row["check"]]).bind(None, None, **parameters)
    except TypeError as error:
        raise ProfileError(f"{where}: {error}") from error
    return Rule(row["id"], row["sentence"], row["source"], row["check"], parameters)
