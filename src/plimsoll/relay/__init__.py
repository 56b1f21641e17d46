"""The relay role that an agent can carry: 4122 and its floor. Never imports the manager."""
