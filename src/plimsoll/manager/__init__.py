"""The control plane: store, services, and the doors on 4119, 4120 and the local socket."""
