"""Sessions: a name and a password for an ``sID``, which every other operation asks for."""

from __future__ import annotations

from datetime import UTC, datetime

from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.ports import Unauthenticated

#: What programs compare with: the last number of the reference's that these shapes follow.
API_VERSION = 4
#: The one tenant (design: one, primary).
TENANT = "primary"


@operation(session=False)
def authenticate(call: Call, username: str, password: str) -> str:
    """Begins a session and answers its sID. After five wrong passwords in a row the user is locked for a while."""
    connection = call.connection
    if connection is None:
        raise Unauthenticated("sessions are for the network: the local socket knows who asks")
    made = call.back.services.access.sign_in(username, password, connection.address, connection.version)
    return made.secret


@operation(session=False)
def authenticate_tenant(call: Call, tenant_name: str, username: str, password: str) -> str:
    """As authenticate; there is one tenant, "primary"."""
    if tenant_name.strip().lower() not in ("", TENANT):
        raise Unauthenticated(f"there is no tenant {tenant_name!r} here, only {TENANT!r}")
    return authenticate(call, username, password)


@operation(session=False)
def end_session(call: Call, s_id: str) -> None:
    """Ends the session. One that has ended already is no error."""
    call.back.services.access.sign_out(s_id)


@operation(session=False)
def get_api_version(call: Call) -> int:
    """The number of this description."""
    return API_VERSION


@operation(session=False)
def get_manager_time(call: Call) -> datetime:
    """The manager's clock."""
    return datetime.now(UTC)
