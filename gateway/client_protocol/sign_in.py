"""Sign-in of Claude Code at a gateway: paths, grants and errors (RFC 8628, 6749, 7009, 8414).

The client reads three endpoints of the discovery document and follows each only if it has exactly the origin
of the address that the client was given.
"""

from __future__ import annotations

import json
from typing import Any, Final

DISCOVERY: Final = "/.well-known/oauth-authorization-server"
DEVICE_AUTHORIZATION: Final = "/oauth/device_authorization"
TOKEN: Final = "/oauth/token"  # noqa: S105 (a path)
REVOCATION: Final = "/oauth/revoke"
VERIFICATION: Final = "/device"

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT: Final = "refresh_token"

PENDING: Final = "authorization_pending"
SLOW_DOWN: Final = "slow_down"
DENIED: Final = "access_denied"
EXPIRED: Final = "expired_token"
INVALID_GRANT: Final = "invalid_grant"
UNSUPPORTED_GRANT: Final = "unsupported_grant_type"

# seconds. The client renews an access token of which less than 300 are left, and polls until it is told that
# the grant has expired.
ACCESS_LIFETIME: Final = 3600
GRANT_LIFETIME: Final = 600
POLL_INTERVAL: Final = 5
SLOWER: Final = 5
# three processes of one machine renew with the same token at once; those who lose must not be signed out
REUSE_GRACE: Final = 30

# no letters that are taken for others, no vowels that make words
CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH: Final = 8


def discovery(base: str) -> dict[str, Any]:
    """The discovery document of a gateway at `base`, without a slash at its end."""
    return {
        "issuer": base,
        "device_authorization_endpoint": base + DEVICE_AUTHORIZATION,
        "token_endpoint": base + TOKEN,
        "revocation_endpoint": base + REVOCATION,
        "grant_types_supported": [DEVICE_GRANT, REFRESH_GRANT],
        "token_endpoint_auth_methods_supported": ["none"],
    }


def settings(base: str) -> str:
    """The settings of a person, or of a machine, that lead to the gateway at `base`, as JSON."""
    return json.dumps({"forceLoginMethod": "gateway", "forceLoginGatewayUrl": base})


def shown_code(letters: str) -> str:
    """BCDFGHJK as BCDF-GHJK."""
    half = CODE_LENGTH // 2
    return f"{letters[:half]}-{letters[half:]}"


def typed_code(text: str) -> str:
    """What a person typed, as it is stored: letters alone, upper case; "" when it can be no code."""
    letters = "".join(letter for letter in text.upper() if letter in CODE_LETTERS)
    return letters if len(letters) == CODE_LENGTH and len(text) < 40 else ""
