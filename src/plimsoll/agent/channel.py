"""The agent's calls to its manager: messages in, messages out, and every failure in words for people."""

from __future__ import annotations

import contextlib
import ssl
from typing import TypeVar

import msgspec

from plimsoll.agent.session import Failure
from plimsoll.messages import Message, Problem
from plimsoll.net.client import Answer, CertificateEnded, Link, LinkError
from plimsoll.net.handshake_errors import alert_in
from plimsoll.tls.alerts import Alert

T = TypeVar("T", bound=Message)

#: The reason of a failure where the manager refused the versions that we offer.
REFUSED_BY_FLOOR = "refused-by-floor"

#: The reason of a failure where the manager's clock says that our certificate has expired, whatever ours says.
OUR_CERTIFICATE_EXPIRED = "certificate-expired"

#: The reason of a failure where, by our clock, the manager's certificate has ended, or that of the CA that we trust.
THEIR_CERTIFICATE_ENDED = CertificateEnded.reason

#: No answer makes an agent wait longer than this, in seconds: a typing error on the other side would lose it.
LONGEST_RETRY = 3600.0


class ChannelError(Exception):
    """The exchange failed. `failure` says why, in the form that the session takes."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def exchange(link: Link, path: str, message: Message, answer: type[T]) -> T:
    """Posts the message and reads the answer. Raises ChannelError, and nothing else."""
    where = f"{link.host}:{link.port}"
    try:
        got = link.request("POST", path, msgspec.json.encode(message), {"content-type": "application/json"})
    except LinkError as error:
        raise ChannelError(_not_reached(where, error)) from None
    if got.status != 200:
        raise ChannelError(_refused(where, got))
    try:
        return msgspec.json.decode(got.body, type=answer)
    except msgspec.MsgspecError as error:
        raise ChannelError(
            Failure("protocol", f"{where} gave an answer that this release cannot read ({error})", refused=True)
        ) from None


def _not_reached(where: str, error: LinkError) -> Failure:
    if error.reason == REFUSED_BY_FLOOR:
        return Failure(
            REFUSED_BY_FLOOR,
            f"{where} refused the connection because of TLS: it accepts only versions newer than those that this "
            f"computer's {ssl.OPENSSL_VERSION} offers (alert 70, protocol version). Update this computer's TLS "
            "library, or lower the manager's floor",
        )
    if alert_in(error.__cause__ or error) is Alert.CERTIFICATE_EXPIRED:
        return Failure(OUR_CERTIFICATE_EXPIRED, f"{where} says that this agent's certificate has expired")
    return Failure(error.reason, str(error))


def _refused(where: str, answer: Answer) -> Failure:
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem(message=f"{where} answered with HTTP status {answer.status}")
    wait = problem.retry_after
    # A date is the header's other form; our managers say seconds.
    with contextlib.suppress(KeyError, ValueError):
        wait = float(answer.headers["retry-after"])
    return Failure(
        problem.reason or f"http-{answer.status}",
        problem.message,
        refused=True,
        retry_after=None if wait is None else min(max(wait, 0.0), LONGEST_RETRY),
        status=answer.status,
    )
