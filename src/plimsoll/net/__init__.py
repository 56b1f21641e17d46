"""Sockets and TLS as served and dialled here: the gate, its contexts, a small HTTP server and client."""
