"""The request's body as plain bytes: size limit, content type, gzip and deflate.

See docs/conversion.md, "Request headers".
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final

from gateway.errors import InvalidRequest, RequestTooLarge

# 30 KB that expand to 30 MB are not a conversation.
MOST_RATIO: Final = 50
FREE: Final = 1024 * 1024

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


async def plain_body(raw: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """Check and decode `raw`; `limit` (bytes) applies before and after decoding.

    A compressed body may expand to MOST_RATIO times its size, and to FREE bytes in any case.

    Raises InvalidRequest and RequestTooLarge in the API's wording.
    """
    if len(raw) > limit:
        raise RequestTooLarge("Request exceeds the maximum size")
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type and content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidRequest("content-type must be application/json")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding not in _WINDOW_BITS:
        raise InvalidRequest(
            f"content-encoding {encoding[:40]!r} is not supported; send gzip, deflate or identity",
            details={"error_code": "request_body_encoding_unsupported"},
        )
    decoded_limit = min(limit, max(FREE, MOST_RATIO * len(raw)))
    if decoded_limit <= FREE:
        return _decoded(raw, encoding, decoded_limit)
    # zlib releases the GIL: decoding a large body does not hold up other requests
    return await asyncio.to_thread(_decoded, raw, encoding, decoded_limit)


def _decoded(raw: bytes, encoding: str, limit: int) -> bytes:
    # some clients call a raw deflate stream "deflate"; the standard means zlib's format
    windows = [_WINDOW_BITS[encoding], *([-15] if encoding == "deflate" else [])]
    for window in windows:
        decoder = zlib.decompressobj(window)
        try:
            body = decoder.decompress(raw, limit + 1)
        except zlib.error:
            continue
        if len(body) > limit:
            raise RequestTooLarge(
                "Request exceeds the maximum size",
                details={"error_code": "request_body_too_large_after_decoding"},
            )
        if decoder.eof:
            return body
    raise InvalidRequest(
        f"the request body is not valid {encoding} data",
        details={"error_code": "request_body_encoding_invalid"},
    )
