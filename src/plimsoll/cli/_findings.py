"""How a preflight's findings read: one block a part, with what an administrator needs to act."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import BlockedError, Code, CommandError
from plimsoll.cli._output import Output, when
from plimsoll.cli._session import Session

Finding = Mapping[str, Any]

#: An option of whatever can be forced.
Seen = Annotated[
    Path | None,
    typer.Option(
        "--seen",
        metavar="FILE",
        help="What 'plimsoll preflight --json' wrote: nobody is cut off whose name does not stand in it.",
    ),
]


def seen_in(file: Path | None) -> list[str] | None:
    """The ids of a preflight's blockers and affected programs, as `--json` wrote them into that file. Raises
    CommandError where it is something else; None without a file.
    """
    if file is None:
        return None
    try:
        said = json.loads(file.read_text("utf-8"))
        return [finding["id"] for name in ("blockers", "affected") for finding in said[name]]
    except OSError as error:
        raise CommandError(f"{file} was not read: {error.strerror}; nothing was changed", Code.USAGE) from error
    except (ValueError, KeyError, TypeError):
        raise CommandError(
            f"{file} is not what 'plimsoll preflight --json' writes; nothing was changed", Code.USAGE
        ) from None


def headline(finding: Finding) -> str:
    """Name, kind and version, address and last sighting on one line."""
    parts = [str(finding.get("who") or finding.get("id"))]
    kind = str(finding.get("kind") or "part")
    version = finding.get("version")
    parts.append(f"({kind} {version})" if version else f"({kind})")
    address = finding.get("address")
    if address:
        parts.append(f"at {address}")
    seen = finding.get("last_seen")
    parts.append(f"last seen {when(seen)}" if seen else "never seen")
    point = finding.get("point")
    if point:
        parts.append(f"on {point}")
    return " ".join(parts)


def lines(finding: Finding) -> list[str]:
    """The headline, and below it why, since when, on what evidence, and what to do."""
    certainty = finding.get("certainty")
    known = f" [{certainty}]" if certainty else ""
    text = [headline(finding), f"    reason: {finding.get('reason', '')}{known}"]
    if finding.get("evidence"):
        text.append(f"    evidence: {finding['evidence']}")
    if finding.get("since"):
        text.append(f"    since: {when(finding['since'])}")
    if finding.get("remedy"):
        text.append(f"    remedy: {finding['remedy']}")
    others = list(filter(None, map(_way, finding.get("ways") or ())))
    if others and not finding.get("remedy", "").endswith(_EXCEPTION_OR_RETIRE):
        text.append(f"    or: {', or '.join(others)}")
    return text


#: Where nothing newer exists the remedy says so itself.
_EXCEPTION_OR_RETIRE = "or retire it"


def _way(way: Mapping[str, Any]) -> str | None:
    if way.get("do") == "exception":
        until = f" until {str(when(way['until']))[:10]} at most" if way.get("until") else " with an end date"
        return f"an exception on {', '.join(way.get('points') or ())}{until}"
    return "retire it" if way.get("do") == "retire" else None


def counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def refusal(output: Output, error: BlockedError, hint: str, seen: Collection[str] | None = None) -> None:
    """A refused raise on standard error: every blocker by name, then who else would be affected, then the way on.
    Where it was forced over the heads of those `seen`, only who came since.
    """
    known = frozenset(seen or ())
    blockers, affected = (
        [one for one in error.details.get(name, ()) if one["id"] not in known] for name in ("blockers", "affected")
    )
    if seen is not None:
        hint = "nothing was changed; read the names again with 'plimsoll preflight --json'"
    output.say(error.message)
    for finding in blockers:
        _detail(output, finding)
    if affected and blockers:
        output.say(f"{counted(len(affected), 'program', 'programs')} would be affected too (this does not block):")
    for finding in affected:
        _detail(output, finding)
    output.say(hint)


def warn_affected(output: Output, preflight: Mapping[str, Any] | None) -> None:
    """After a raise that went through: which programs it cut off, and which parts, if it was forced."""
    if not preflight:
        return
    for name, what in (("blockers", "cut off by force:"), ("affected", "programs that can no longer connect:")):
        findings: Sequence[Finding] = preflight.get(name) or ()
        if findings:
            output.say(what)
            for finding in findings:
                _detail(output, finding)


def move(
    used: Session,
    home: Path | None,
    path: str,
    body: Mapping[str, object],
    as_json: bool,
    *,
    again: str,
    seen: Path | None = None,
    more: Callable[[Output, dict[str, Any]], None] | None = None,
) -> int:
    """Asks for another floor or profile and shows what moved, and `more` of the answer; the exit code.

    One that would cut parts off is refused with their names, and `again` (``to raise anyway``) leads the way to force,
    which reaches no further than the names in the file `seen`.
    """
    known = seen_in(seen)
    if known is not None:
        body = {**body, "seen": known}
    try:
        with used.client(home) as client:
            data: dict[str, Any] = client.post(path, body)
    except BlockedError as error:
        if as_json:
            used.output.json(error.details)
        hint = f'nothing was changed; {again}: --force --reason "…"'
        refusal(used.output, error, hint, known if body["force"] else None)
        return error.code
    warn_affected(used.output, data.get("preflight"))
    if as_json:
        used.output.json(data)
    else:
        for change in data["changed"]:
            used.output.line(f"{change['point']}: {change['from']} -> {change['to']}")
        if not data["changed"]:
            used.output.line("unchanged")
        if more is not None:
            more(used.output, data)
    return 0


def _detail(output: Output, finding: Finding) -> None:
    for text in lines(finding):
        output.detail(text)


def report(output: Output, preflight: Mapping[str, Any]) -> Code:
    """A preflight as a result, and the exit code it means."""
    blockers: Sequence[Finding] = preflight.get("blockers") or ()
    affected: Sequence[Finding] = preflight.get("affected") or ()
    noted: Sequence[Finding] = preflight.get("noted") or ()
    points = ", ".join(str(point) for point in preflight.get("points") or ())
    output.line(f"to {preflight.get('to')} on {points}: {verdict(len(blockers), len(affected))}")
    output.line(f"{preflight.get('judged', 0)} parts and programs judged")
    for title, findings in (("blockers", blockers), ("affected", affected), ("noted", noted)):
        if findings:
            output.line(f"{title}:")
            for finding in findings:
                for text in lines(finding):
                    output.line(f"  {text}")
    return exit_code(preflight)


def verdict(blockers: int, affected: int) -> str:
    if blockers:
        return counted(blockers, "blocker", "blockers")
    if affected:
        return f"no blocker, {counted(affected, 'program', 'programs')} affected"
    return "clear"


def exit_code(preflight: Mapping[str, Any]) -> Code:
    if preflight.get("blockers"):
        return Code.BLOCKERS
    return Code.AFFECTED if preflight.get("affected") else Code.OK
