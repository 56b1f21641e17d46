"""A proof as one page that a person can read and print: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from plimsoll.scan.proofs import digest_place

_CSS: Final = Path(__file__).with_name("data") / "proof.css"
#: How a verdict is shown.
_STYLES: Final = {"proved": "proved", "violated": "violated", "not proved": "open"}


def page(content: Mapping[str, Any]) -> str:
    """The page of a bundle's content."""
    body = "".join(
        (
            _head(content),
            _table(
                "Floors",
                ("Point", "Floor", "Ciphers", "Since", "By", "Reason"),
                (
                    (one["point"], one["floor"], one.get("ciphers"), _when(one["since"]), one["who"], one["reason"])
                    for one in content["floors"]
                ),
            ),
            _places("What handshakes showed", content["places"]),
            _scope(content["scope"]),
            _exceptions(content["exceptions"]),
            _change(content.get("change")),
            _table(
                "Who moved which floor",
                ("When", "Point", "From", "To", "By", "Why"),
                (
                    (_when(one["time"]), one["point"], one["from"], one["to"], one["who"], one["reason"])
                    for one in content["history"]
                ),
            ),
            _foot(content),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>TLS floors of {escape(content['manager']['name'])}</title><style>{_CSS.read_text()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(content: Mapping[str, Any]) -> str:
    verdict = content["verdict"]
    counts = content["counts"]
    style = _STYLES[verdict]
    said = f"{counts['proved']} of {sum(counts.values())} ports proved, {counts['violated']} violated, "
    said += f"{counts['not proved']} not proved"
    name = escape(content["manager"]["name"])
    return (
        f"<h1>TLS floors of {name}</h1><p class=soft>Probed from outside and written {_when(content['made'])} by "
        f"Plimsoll {escape(content['manager']['release'])}</p>"
        f'<p class="verdict {style}">{escape(verdict)}: {escape(said)}</p>'
    )


def _places(title: str, places: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in places:
        style = _STYLES[one["verdict"]]
        profile = f"<br><span class=soft>{escape(one['ciphers'])}</span>" if one.get("ciphers") else ""
        suites = {suite for seen in one["versions"].values() for suite in seen["suites"]}
        accepts = ", ".join(one["accepted"]) or "-"
        cells = [
            escape(one["point"]),
            escape(one["name"]),
            f"<code>{escape(one['address'] or '-')}:{one['port']}</code>",
            escape(one["asked"]) + profile,
            escape(accepts)
            + (f"<br><span class=soft>{len(suites)} suite{'s' if len(suites) > 1 else ''}</span>" if suites else ""),
            f'<span class="{style}">{escape(one["verdict"])}</span>',
            escape("; ".join([*one["reasons"], *([one["note"]] if one["note"] else [])])),
        ]
        rows.append(cells)
    return _raw_table(title, ("Point", "Who", "At", "Floor", "Accepts", "Verdict", "Evidence"), rows)


def _scope(scope: Mapping[str, Any]) -> str:
    if not scope["marks"]:
        return "<h2>In the scope of PCI DSS</h2><p class=soft>Nothing is marked as in scope.</p>"
    rows = []
    for one in scope["places"]:
        style = {"holds": "proved", "does not hold": "violated"}.get(one["verdict"], "open")
        rows.append(
            [
                escape(one["point"]),
                escape(one["name"]),
                f"<code>{escape(one['address'] or '-')}:{one['port'] or '-'}</code>",
                f'<span class="{style}">{escape(one["verdict"])}</span>',
                "<br>".join(escape(text) for text in one["findings"]) or "-",
            ]
        )
    profile = f"PCI DSS 4.0.1 ({scope['profile']})"
    text = f"<p class=soft>{escape(profile)}; {escape(scope['note'])}</p>"
    return _raw_table("In the scope of PCI DSS", ("Point", "Who", "At", "Verdict", "What is missing"), rows, text)


def _exceptions(exceptions: Sequence[Mapping[str, Any]]) -> str:
    if not exceptions:
        return "<h2>Exceptions in force</h2><p class=soft>None: every peer is held to the floors.</p>"
    return _table(
        "Exceptions in force",
        ("Who", "Point", "May use", "Until", "By", "Reason"),
        (
            (one["for"], one["point"], one["floor"], _when(one["until"]), one["who"], one["reason"])
            for one in exceptions
        ),
    )


def _change(change: Mapping[str, Any] | None) -> str:
    if change is None:
        return ""
    title = f"Change {change['id']}: to {change['to']} at {', '.join(change['points'])}, {change['state']}"
    approved = f", approved by {change['approvedBy']}" if change["approvedBy"] else ""
    lead = f"<p class=soft>Started by {escape(change['who'])}{escape(approved)}. {escape(change['text'])}</p>"
    rows = [
        [_when(one["time"]), escape(one["stage"]), escape(one["what"]), escape(one["text"])] for one in change["log"]
    ]
    return _raw_table(title, ("When", "Stage", "What", "Detail"), rows, lead)


def _foot(content: Mapping[str, Any]) -> str:
    audit = content["audit"]
    pairs = (
        ("Proof", content["id"]),
        ("Installation", content["manager"]["installation"]),
        ("Asked by", content["by"]),
        ("Audit trail", f"{'whole' if audit['whole'] else 'BROKEN'}, up to entry {audit['entry']}"),
        ("Hash of that entry", audit["hash"] or "-"),
    )
    inner = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(str(value))}</code></dd>" for name, value in pairs)
    return (
        f"<h2>About this page</h2><dl>{inner}</dl><p class=soft><code>{digest_place()}</code></p>"
        "<p class=soft>The page belongs to a signed bundle. To check it:"
        " <code>plimsoll proof verify FOLDER --key KEY.pem</code></p>"
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [[escape("-" if value in (None, "") else str(value)) for value in row] for row in rows]
    return _raw_table(title, columns, cells)


def _raw_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], lead: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    return f"<h2>{escape(title)}</h2>{lead}{table}"


def _when(seconds: float | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
