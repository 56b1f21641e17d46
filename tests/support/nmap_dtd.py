"""A small validator for nmap.dtd: Python's own XML parser reads document types, but does not hold anybody to them."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

DTD = Path("/usr/share/nmap/nmap.dtd")
_ENTITY = re.compile(r'<!ENTITY\s+%\s+(\w+)\s+"([^"]*)"\s*>')
_ELEMENT = re.compile(r"<!ELEMENT\s+(\w+)\s+(.*?)>", re.DOTALL)
_ATTLIST = re.compile(r"<!ATTLIST\s+(\w+)\s+(.*?)>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)\s+(CDATA|\([^)]*\))\s+(#REQUIRED|#IMPLIED|"[^"]*")')


class DocumentType:
    """What the document type allows: children as a pattern over their names, attributes as a table."""

    def __init__(self, path: Path = DTD) -> None:
        text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for name, value in _ENTITY.findall(text):
            text = text.replace(f"%{name};", value.strip())
        self._children = {name: self._pattern(model) for name, model in _ELEMENT.findall(text)}
        self._attributes: dict[str, list[tuple[str, str, str]]] = {}
        for name, rows in _ATTLIST.findall(text):
            self._attributes.setdefault(name, []).extend(_ATTRIBUTE.findall(rows))

    @staticmethod
    def _pattern(model: str) -> re.Pattern[str]:
        """Children are matched as their names, each with a comma behind it."""
        said = {",": "", "#PCDATA": "(?:)", "EMPTY": ""}
        tokens = re.findall(r"#?\w+|[()|,*?+]", model)
        return re.compile("".join(said.get(token, f"(?:{token},)" if token.isalpha() else token) for token in tokens))

    def faults(self, element: ElementTree.Element) -> list[str]:
        """What breaks the document type in this element and all within."""
        found = []
        children = "".join(f"{child.tag}," for child in element)
        if element.tag not in self._children:
            return [f"unknown element {element.tag}"]
        if not self._children[element.tag].fullmatch(children):
            found.append(f"{element.tag} holds {children}")
        rows = {name: (kind, need) for name, kind, need in self._attributes.get(element.tag, [])}
        found += [
            f"{element.tag} lacks {name}"
            for name, (_, need) in rows.items()
            if need == "#REQUIRED" and name not in element.attrib
        ]
        for name, value in element.attrib.items():
            if name not in rows:
                found.append(f"{element.tag} has {name}")
            elif rows[name][0] != "CDATA" and value not in re.findall(r"[\w-]+", rows[name][0]):
                found.append(f"{element.tag} {name} is {value}")
        for child in element:
            found += self.faults(child)
        return found
