"""The door on 4120: activation, heartbeats, renewal."""
