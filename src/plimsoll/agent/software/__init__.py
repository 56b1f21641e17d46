"""Software on an agent: which relays to ask, whose signatures count, and packages that were downloaded and verified.

The resident agent loads `shelf` and `fetching`; what verifies runs in a short child process, `child`, which alone
imports the framework and cryptography.
"""
