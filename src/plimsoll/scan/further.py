"""What is asked once the versions are known: features and certificates. Imported only where something was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.scan.asking import Script
from plimsoll.scan.knowledge import Known
from plimsoll.scan.options import Options


def scripts(known: Known, options: Options) -> Iterator[tuple[str, Script[Any]]]:
    """Named scripts, to be run one after another."""
    return iter(())


def values(known: Known, results: dict[str, Any]) -> dict[str, Any]:
    """The fields of the report that they fill."""
    return {}
