"""Who asks over GraphQL, whichever way the answer goes."""

from starlette.requests import HTTPConnection

from auth.crypto.secret import Secret
from auth.openid import OpenIdUnavailable
from schema.context import Context
from schema.errors import Code
from server.graphql_answer import Body, fault, told
from server.identification import identify
from server.logs import log


class CallerUnknown(Exception):
    """Who asks can't be known now, so nothing is answered but this error.

    may_be_tried_again: it is likely to go better in a moment.
    """

    def __init__(self, error: Body) -> None:
        super().__init__(error["message"])
        self.error = error
        self.may_be_tried_again = error["extensions"]["code"] == Code.UNAVAILABLE

    @property
    def status(self) -> int:
        return 503 if self.may_be_tried_again else 500


async def context_of(request: HTTPConnection, token: Secret | None = None, *, to_read: bool = False) -> Context:
    """The context of whoever asks, by this token, the request's or its cookie's. Raises CallerUnknown."""
    try:
        return Context(await identify(request, token, to_read=to_read))
    except OpenIdUnavailable as unavailable:
        log.error("openid_unavailable", reason=str(unavailable))
        raise CallerUnknown(told("Who you are can't be checked now.", Code.UNAVAILABLE)) from None
    except Exception as error:  # noqa: BLE001  (whoever asks is told so in the way they asked)
        raise CallerUnknown(fault(error)) from None
