"""TLS as bytes and values: versions, floors, hellos, alerts. Standard library only, no sockets, no clock."""
