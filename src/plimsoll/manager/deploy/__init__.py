"""Deployment scripts: constant bodies in `bodies/`, and heads of assignments that are made for each (R20–R22)."""
