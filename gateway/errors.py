"""Every error the gateway can give, as one tree.

    GatewayError                       what the client is told; keeps status and Anthropic error type
    |-- ClientError                    the client's fault
    |   |-- InvalidRequest             400 invalid_request_error
    |   |-- AuthenticationFailed       401 authentication_error, x-should-retry: false
    |   |   `-- KeyRefused             a client key was shown, and is not taken
    |   |-- NotAllowed                 403 permission_error
    |   |-- NotFound                   404 not_found_error
    |   |   `-- UnknownModel           404 not_found_error `model: NAME`
    |   |-- MethodNotAllowed           405 invalid_request_error
    |   |-- RequestTooLarge            413 request_too_large
    |   `-- TooManyRequests            429 rate_limit_error
    |-- GatewayFault                   our fault
    |   |-- InternalError              500 api_error
    |   |-- NoUsableProvider           529 overloaded_error; an admin must configure one
    |   |-- CredentialUnreadable       500 api_error; an admin must enter it again
    |   |-- NotReady                   503 api_error: the database was not reached since the start
    |   |-- DatabaseAway               503 api_error: what only the database knows
    |   `-- Saturated                  529 overloaded_error: full, or stopping
    `-- UpstreamError                  the provider's fault
        |-- UpstreamUnreachable        502 api_error
        |-- UpstreamTimedOut           504 timeout_error
        |-- UpstreamRejected           status and type by table (conversion/errors/upstream.py)
        |-- UpstreamRefused            content filter: becomes a message with stop_reason refusal
        `-- UpstreamBroken             502 api_error (bad JSON, illegal order, cut stream)

The wording of messages follows the Messages API, because clients act on it
(docs/conversion.md, "Validation" and "Errors").
"""

from __future__ import annotations

from typing import Any, ClassVar


class GatewayError(Exception):
    """An error that reaches the client as Anthropic's error body.

    `status` is the HTTP status, `error_type` Anthropic's word, `message` what
    the client reads; `details` goes to `error.details`; `retry_after` is whole
    seconds; `should_retry` becomes the header x-should-retry when not None; `verbatim` is
    a body in Anthropic's form that passes as the provider wrote it.
    """

    status: int = 500
    error_type: str = "api_error"
    default_should_retry: ClassVar[bool | None] = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error_type: str | None = None,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
        should_retry: bool | None = None,
        headers: dict[str, str] | None = None,
        verbatim: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if error_type is not None:
            self.error_type = error_type
        self.details = details
        self.retry_after = retry_after
        self.should_retry = self.default_should_retry if should_retry is None else should_retry
        self.extra_headers = headers or {}
        self.verbatim = verbatim

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON body: {"type": "error", "error": {...}, "request_id"}."""
        error: dict[str, Any] = {"type": self.error_type, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"type": "error", "error": error, "request_id": request_id}

    def headers(self) -> dict[str, str]:
        """The response headers this error brings along (docs/conversion.md, "Response headers")."""
        headers = dict(self.extra_headers)
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, self.retry_after))
        if self.should_retry is not None:
            headers["x-should-retry"] = "true" if self.should_retry else "false"
        return headers


class ClientError(GatewayError):
    """The request cannot be served as it is."""


class InvalidRequest(ClientError):
    status, error_type = 400, "invalid_request_error"


class AuthenticationFailed(ClientError):
    # Without the header Claude Code repeats a 401 for three minutes.
    status, error_type = 401, "authentication_error"
    default_should_retry = False


class KeyRefused(AuthenticationFailed):
    """A client key was shown and is not taken.

    `reason`: routing.snapshot.KeyRefusal; `prefix`: what may be shown of the key; `key_id` 0: not known here.
    """

    def __init__(self, message: str, *, reason: str, prefix: str = "", key_id: int = 0) -> None:
        super().__init__(message)
        self.reason, self.prefix, self.key_id = reason, prefix, key_id


class NotAllowed(ClientError):
    status, error_type = 403, "permission_error"


class NotFound(ClientError):
    status, error_type = 404, "not_found_error"


class UnknownModel(NotFound):
    def __init__(self, model: str) -> None:
        super().__init__(f"model: {model}")


class MethodNotAllowed(ClientError):
    status, error_type = 405, "invalid_request_error"

    def __init__(self, allowed: str) -> None:
        super().__init__("Method Not Allowed", headers={"allow": allowed})


class RequestTooLarge(ClientError):
    status, error_type = 413, "request_too_large"


class HeadTooLarge(ClientError):
    """The request line and the headers are longer than the server reads."""

    status, error_type = 431, "invalid_request_error"

    def __init__(self) -> None:
        super().__init__("The request line or the headers are too long; send them in less than 16 KB")


class RequestTimedOut(ClientError):
    """The client took too long to send its request."""

    status, error_type = 408, "timeout_error"


class TooManyRequests(ClientError):
    status, error_type = 429, "rate_limit_error"


class GatewayFault(GatewayError):
    """The gateway itself cannot serve the request; an admin or time mends it."""


class InternalError(GatewayFault):
    def __init__(self) -> None:
        super().__init__("Internal server error")


class NoUsableProvider(GatewayFault):
    status, error_type = 529, "overloaded_error"
    # it does not pass by itself
    default_should_retry = False

    def __init__(self, model: str) -> None:
        super().__init__(
            f"no upstream provider available for model {model}: an admin of the gateway must enable one"
        )


class CredentialUnreadable(GatewayFault):
    default_should_retry = False

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"the gateway cannot read its credential for provider {provider}: an admin must enter it again"
        )


class NotReady(GatewayFault):
    """This process has not read its configuration yet."""

    status = 503

    def __init__(self) -> None:
        super().__init__("the gateway has not reached its database since it started", retry_after=5)


class DatabaseAway(GatewayFault):
    """The answer stands in the database, which does not answer."""

    status = 503

    def __init__(self) -> None:
        super().__init__("the gateway does not reach its database; try again in a moment", retry_after=5)


class Stopped(GatewayFault):
    """The emergency stop is on. `reason`: an admin's words, or ""."""

    status = 503

    def __init__(self, reason: str = "") -> None:
        said = "this gateway was stopped by whoever runs it and takes no requests for now"
        super().__init__(f"{said}: {reason}" if reason else said, should_retry=False)


class Saturated(GatewayFault):
    status, error_type = 529, "overloaded_error"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message, retry_after=retry_after)


class UpstreamError(GatewayError):
    """The provider did not do its part.

    `upstream_status` is the provider's HTTP status, None when there was none.
    """

    status: int = 502
    upstream_status: int | None = None


class UpstreamUnreachable(UpstreamError):
    """No connection: refused, reset before an answer, DNS, TLS."""


class UpstreamTimedOut(UpstreamError):
    status, error_type = 504, "timeout_error"


class UpstreamRejected(UpstreamError):
    """The provider answered with an error.

    Status and type come from the table of docs/conversion.md, "Errors of providers".
    """


class UpstreamRefused(UpstreamError):
    """The provider's content filter refused the prompt: answered as a message.

    See docs/conversion.md, "Decisions".
    """

    def __init__(self, explanation: str) -> None:
        super().__init__(explanation, status=400, error_type="invalid_request_error")
        self.explanation = explanation


class UpstreamBroken(UpstreamError):
    """The provider's answer is not what its protocol promises, or it ended early."""
