"""The relay role of an agent: hands out software and updates on 4122, with a floor that travels in its policy.

A relay is told its folder, its identity and its policies; it knows nothing of heartbeats.
"""
