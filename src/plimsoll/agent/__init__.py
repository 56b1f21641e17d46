"""The daemon on a computer of the fleet. Never imports the manager."""
