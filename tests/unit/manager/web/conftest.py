"""A home with a fleet of every kind, an application over it, and browsers' sessions for each role."""

from __future__ import annotations

from tests.unit.manager.api.conftest import Made, made

__all__ = ["Made", "made"]
