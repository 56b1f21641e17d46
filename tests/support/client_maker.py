"""Writes `plimsoll.client`'s types and methods from the description of REST; `make reference` runs it."""

from __future__ import annotations

import keyword
import re
import subprocess
from pathlib import Path
from typing import Any

from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import operations
from tests.support.process import BIN

FOLDER = Path(__file__).resolve().parents[2] / "src" / "plimsoll" / "client"
_WRITTEN = "Written from the description of REST by `make reference`; changes here are lost."
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def files() -> dict[str, str]:
    """The two modules by name, as they should stand in the folder."""
    described = describing().openapi()
    return {"shapes.py": _formatted(_shapes(described)), "operations.py": _formatted(_operations(described))}


def _formatted(text: str) -> str:
    command = [str(BIN / "ruff"), "format", "--stdin-filename", "src/plimsoll/client/x.py", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _shapes(described: dict[str, Any]) -> str:
    lines = [f'"""What goes into REST and comes out of it. {_WRITTEN}"""', "", "from __future__ import annotations", ""]
    lines += ["from typing import Any, Literal, NotRequired, TypedDict", ""]
    for name, schema in sorted(described["components"]["schemas"].items()):
        lines += _shape(name, schema)
    return "\n".join(lines)


def _shape(name: str, schema: dict[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    fields = {
        field: _type(one) if field in required else f"NotRequired[{_type(one)}]"
        for field, one in schema.get("properties", {}).items()
    }
    odd = {field: kind for field, kind in fields.items() if not field.isidentifier() or keyword.iskeyword(field)}
    lines = [""]
    if odd:
        inside = ", ".join(f'"{field}": {kind!r}' for field, kind in odd.items())
        lines += [f'_{name} = TypedDict("_{name}", {{{inside}}})', "", ""]
    lines.append(f"class {name}({f'_{name}' if odd else 'TypedDict'}):")
    text = " ".join(str(schema.get("description", "")).split())
    if text:
        lines += [f'    """{one}' if at == 0 else f"    {one}" for at, one in enumerate(_wrapped(text))]
        lines[-1] += '"""' if len(_wrapped(text)) == 1 else '\n    """'
    lines += [f"    {field}: {kind}" for field, kind in fields.items() if field not in odd]
    if not text and len(fields) == len(odd):
        lines.append("    pass")
    return [*lines, ""]


def _wrapped(text: str, width: int = 105) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def _type(schema: dict[str, Any], prefix: str = "") -> str:
    if "$ref" in schema:
        return prefix + str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one, prefix) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        words = schema["enum"] if "enum" in schema else [schema["const"]]
        return f"Literal[{', '.join(repr(word) for word in words)}]".replace("'", '"' if not prefix else "'")
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}), prefix)}]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {_type(inner, prefix) if isinstance(inner, dict) else 'Any'}]"
    if schema.get("format") == "binary":
        return "bytes"
    return _PLAIN.get(str(kind), "Any")


def _operations(described: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for method, path, one in operations(described):
        kind, _ = _content(one["responses"], one)
        if kind == "text/event-stream":
            continue  # it has no end: `plimsoll events tail` follows it
        groups.setdefault(one["tags"][0], []).append(_method(method, path, one))
    lines = [f'"""One method an operation, by subject. {_WRITTEN}"""', "", "from __future__ import annotations", ""]
    lines += ["from collections.abc import Mapping", "from typing import Any, Literal, Protocol, cast"]
    lines += ["from urllib.parse import quote", "", "from plimsoll.client import shapes", ""]
    lines += ["Params = Mapping[str, object]", "", "", "class Ask(Protocol):"]
    lines += ["    def __call__(", "        self, method: str, path: str, params: Params, body: object,"]
    lines += ["        headers: Mapping[str, str],", "    ) -> Any: ...", "", "", "class Group:"]
    lines += ["    def __init__(self, ask: Ask) -> None:", "        self._ask = ask", ""]
    for tag, methods in groups.items():
        text = next((one.get("description", "") for one in described["tags"] if one["name"] == tag), "")
        lines += ["", f"class {tag.capitalize()}(Group):", *([f'    """{text}"""', ""] if text else []), *methods]
    lines += ["", "class Operations:", '    """Everything that a manager can be asked, by subject."""', ""]
    lines += ["    def __init__(self, ask: Ask) -> None:"]
    lines += [f"        self.{tag} = {tag.capitalize()}(ask)" for tag in groups]
    return "\n".join(lines) + "\n"


def _content(responses: dict[str, Any], one: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    success = next(status for status in responses if status.startswith("2"))
    for kind, content in responses[success].get("content", {}).items():
        return kind, content["schema"]
    return "", {}


def _method(method: str, path: str, one: dict[str, Any]) -> str:
    given = [row for row in one["parameters"] if "$ref" not in row]
    name = one["operationId"].partition("_")[2]
    arguments = ["self"]
    arguments += [f"{row['name']}: {_type(row['schema'], 'shapes.')}" for row in given if row["in"] == "path"]
    body, passed = _body(one)
    arguments += body
    named = [row for row in given if row["in"] in ("query", "header")]
    if named:
        arguments.append("*")
    for row in sorted(named, key=lambda row: not row.get("required", False)):
        kind = _type(row["schema"], "shapes.")
        if not row.get("required"):
            kind = kind if kind.endswith("None") else f"{kind} | None"
        arguments.append(f"{_word(row['name'])}: {kind}" + ("" if row.get("required") else " = None"))
    query = ", ".join(f'"{row["name"]}": {_word(row["name"])}' for row in named if row["in"] == "query")
    headers = ", ".join(f'"{row["name"]}": {_word(row["name"])} or ""' for row in named if row["in"] == "header")
    kind, schema = _content(one["responses"], one)
    returned = _type(schema, "shapes.") if kind == "application/json" else "bytes" if kind else "None"
    place = re.sub(r"\{(\w+)\}", r"{quote(str(\1), safe='')}", path)
    address = f'f"{place}"' if "{" in place else f'"{place}"'
    call = f'self._ask("{method}", {address}, {{{query}}}, {passed}, {{{headers}}})'
    answer = [f"        {call}" if returned == "None" else f'        return cast("{returned}", {call})']
    text = _wrapped(" ".join(one.get("description", "").split()), 100)
    said = ['        """' + text[0], *(f"        {line}" for line in text[1:])]
    said[-1] += '"""' if len(text) == 1 else '\n        """'
    return "\n".join([f"    def {name}({', '.join(arguments)}) -> {returned}:", *said, *answer, ""])


def _word(name: str) -> str:
    return name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")


def _body(one: dict[str, Any]) -> tuple[list[str], str]:
    for kind, content in one.get("requestBody", {}).get("content", {}).items():
        if kind != "application/json":
            return ["body: bytes"], "body"
        schema = content["schema"]
        if schema.get("type") == "object":
            return ["body: Mapping[str, Any]"], "body"
        optional = "anyOf" in schema
        return [f"body: {_type(schema, 'shapes.')}" + (" = None" if optional else "")], "body"
    return [], "None"


def main() -> None:
    for name, text in files().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
