"""Peers for trying a fleet: real TLS clients, old ones capped at TLS 1.0, and a clock that tests set."""
