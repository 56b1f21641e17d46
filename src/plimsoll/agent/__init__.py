"""The agent: a host's own key, its heartbeats, the policy it holds and, where that asks for it, a listener on 4118.

The resident process imports the standard library, msgspec and the packages below it, so that it stays small;
`agent.keys` and `agent.inventory` run as short child processes.
"""
