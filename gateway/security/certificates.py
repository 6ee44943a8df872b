"""TLS contexts from PEM texts: whose certificates a provider may show, and which one we show it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from django.utils.translation import gettext as _


class UnusableCertificate(ValueError):
    """The message says what is wrong with the text, for an admin."""


def tls_context(ca: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """A context that trusts the CAs in `ca` (PEM) and no others, and shows `certificate` with `key`.

    With an empty `ca` it trusts nobody; `with_identity` gives a context of the usual CAs a certificate.
    Raises UnusableCertificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # a CA that is no root may be named, too
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca:
        text = _ascii(ca)
        try:
            context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError):
            raise UnusableCertificate(
                _("This is not a certificate in PEM form (-----BEGIN CERTIFICATE-----).")
            ) from None
    return with_identity(context, certificate, key)


def with_identity(context: ssl.SSLContext, certificate: str, key: str) -> ssl.SSLContext:
    """The context, which shows `certificate` (PEM, with its chain) from now on; "" leaves it as it is.

    Raises UnusableCertificate.
    """
    if not certificate:
        return context
    pem = f"{certificate.strip()}\n{key.strip()}\n"
    try:
        with _as_file(_ascii(pem)) as path:
            context.load_cert_chain(path, password=_no_password)
    except UnusableCertificate:
        raise
    except (ssl.SSLError, ValueError):
        raise UnusableCertificate(
            _("The certificate and its key do not go together, or one of them is not in PEM form.")
        ) from None
    return context


def fingerprint(text: str) -> str:
    """What names a PEM text: another text, another name."""
    return hashlib.sha256("\n".join(text.split()).encode()).hexdigest()


def _no_password() -> str:
    # without this OpenSSL asks at the terminal
    raise UnusableCertificate(
        _("The key is protected by a password. Store it without one: it is encrypted here.")
    )


def _ascii(text: str) -> str:
    try:
        text.encode("ascii")
    except UnicodeEncodeError:
        raise UnusableCertificate(_("PEM texts have no characters outside ASCII.")) from None
    return text


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A file with this text that nobody else can read: OpenSSL takes keys from files alone."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name
