"""Which status a client gets for a provider's, and which status the words of an error inside a 200 stand for.

See docs/conversion.md, "Errors of providers".
"""

from __future__ import annotations

from typing import Final

from gateway.conversion.errors.error_kinds import NO_MONEY, OVERLOADED

# what the Responses API says of a request when it ends a response
_BAD_INPUT: Final = (
    "invalid_prompt",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "invalid_image_mode",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "image_file_too_large",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
)

# upstream status -> (status, type); what is not here follows from its hundred
STATUSES: Final[dict[int, tuple[int, str]]] = {
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    408: (504, "timeout_error"),
    409: (409, "conflict_error"),
    413: (413, "request_too_large"),
    424: (502, "api_error"),
    429: (429, "rate_limit_error"),
    498: (529, "overloaded_error"),
    500: (500, "api_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
    524: (504, "timeout_error"),
    529: (529, "overloaded_error"),
}

# the status that an error inside a 200 would have had, by its code or type; the first that fits
STATUS_OF_WORD: Final[dict[str, int]] = {
    word: status
    for status, words in (
        (402, sorted(NO_MONEY.codes)),
        (429, ("rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests")),
        (429, ("throttlingexception",)),
        (503, ("unavailable", "service_unavailable", "serviceunavailable", *sorted(OVERLOADED.codes))),
        (401, ("authentication_error", "invalid_api_key", "unauthenticated", "unauthorized")),
        (403, ("permission_error", "permission_denied", "forbidden")),
        (404, ("not_found_error", "model_not_found", "not_found")),
        (413, ("request_too_large",)),
        (504, ("timeout", "timeout_error", "deadline_exceeded")),
        (400, ("context_length_exceeded", "exceed_context_size_error", *_BAD_INPUT)),
        (
            400,
            (
                "invalid_request_error",
                "badrequesterror",
                "bad_request",
                "bad_request_error",
                "invalid_argument",
            ),
        ),
        (500, ("server_error", "internal_server_error", "internal_error", "internal", "api_error")),
    )
    for word in words
}
