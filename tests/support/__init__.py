"""Helpers that acceptance tests share: real processes, real tools, raw sockets."""
