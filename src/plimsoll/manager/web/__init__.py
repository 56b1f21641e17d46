"""The status page at / and its sign-in, rendered by the server."""
