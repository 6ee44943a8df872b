"""When certificates expire. Processes that only serve do not load this: the parser takes memory."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509


def expiry(text: str) -> datetime | None:
    """When the first of the certificates in a PEM text expires; None where there is none that can be read."""
    try:
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return None
