"""`plimsoll scan`: what a TLS endpoint really accepts, found by handshakes, and verdicts on it.

Observations (`report`) and verdicts (`grade`, `profiles`) are apart: an observation never says "good" or "bad", and a
verdict never touches a socket.
"""
