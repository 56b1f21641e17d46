"""The web console on 4119: screens rendered by the server."""
