"""The manager's doors for people and programs on 4119 and on the local socket."""
