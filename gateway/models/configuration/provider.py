"""Provider: a configured service that the gateway can call."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.conf import gateway_conf
from gateway.models.base import (
    LONGEST_DESTINATION,
    ConfigRecord,
    EncryptedTextField,
    Origin,
    SecretOriginField,
    is_left_behind,
    opened,
)
from gateway.models.history.request_log import RequestLog
from gateway.models.operation.set_aside_target import SetAsideTarget
from gateway.routing.network_path import (
    DIRECT,
    NetworkPath,
    TLSIdentity,
    UnusableProxy,
    login_of,
    proxy_of,
)
from gateway.security import encryption
from gateway.security.certificates import UnusableCertificate, fingerprint, tls_context
from gateway.security.destinations import is_refused_host, leads_to_refused_host, origin_of

if TYPE_CHECKING:
    from gateway.models.configuration.provider_credential import ProviderCredential

REFUSED_ADDRESS = _(
    "This is a link-local address or that of a metadata service. Such addresses give credentials of the "
    "machine to whoever asks; ALLOW_LINK_LOCAL=true in the environment allows them."
)
BASE_URL_FORM = _(
    "Enter a URL like https://api.example.com/v1: with http:// or https://, and without user, password, "
    "? or #. Secrets go into the credential or the extra headers."
)
PROXY_FORM = _(
    "Enter a URL like http://proxy.example.com:3128, with http://, https://, socks5:// or socks5h://, and "
    "nothing behind the port; or direct."
)
SEALED: Final = {
    "headers": _("extra headers"),
    "proxy_login": _("proxy login"),
    "client_key": _("client certificate's key"),
}
# the fields that hold certificates, by name
CERTIFICATES: Final = {
    "ca_certificates": _("CA certificates"),
    "client_certificate": _("client certificate"),
}


class Auth(models.TextChoices):
    """How the credential is shown to the provider."""

    BEARER = "bearer", "Authorization: Bearer"
    API_KEY = "api-key", _("api-key header (Azure)")
    X_API_KEY = "x-api-key", _("x-api-key header")
    NONE = "none", _("none")


class Provider(ConfigRecord):
    """URL, timeouts and profile options of one service; what it is paid with stands in its `credentials`.

    `environment_key` names which record of the environment this is, or was before
    an admin took it over; so it is neither overwritten nor made a second time.
    `proxy_login` is `user:password`.
    `headers` holds a JSON object as text; values can be secrets, so all of it is sealed.
    What was set aside before `brought_back_at` is forgiven.
    """

    name = models.CharField(_("name"), max_length=100)
    slug = models.CharField(
        _("slug"),
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*\Z", _("Use small letters, digits and hyphens."))],
        help_text=_("Stable id in the history. It cannot change once requests have used it."),
    )
    preset = models.CharField(
        _("preset"),
        max_length=40,
        default="generic",
        help_text=_("The known service whose options are the starting point."),
    )
    base_url = models.CharField(
        _("base URL"),
        max_length=500,
        validators=[RegexValidator(r"^https?://[^\s/@?#]+(/[^\s?#]*)?\Z", BASE_URL_FORM)],
        help_text=_("Up to and without /chat/completions. {model} stands for the upstream model."),
    )
    auth = models.CharField(_("authentication"), max_length=20, choices=Auth.choices, default=Auth.BEARER)
    headers = EncryptedTextField(SEALED["headers"], blank=True, default="", origin_field="headers_origin")
    headers_origin = SecretOriginField(_("extra headers saved for"))
    proxy = models.CharField(
        _("proxy"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "Like http://proxy.example.com:3128; also https://, socks5:// and socks5h:// (the proxy resolves "
            "names). Empty: what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the gateway say. direct: "
            "none."
        ),
    )
    proxy_login = EncryptedTextField(
        SEALED["proxy_login"], blank=True, default="", db_default="", origin_field="proxy_login_origin"
    )
    proxy_login_origin = SecretOriginField(_("proxy login saved for"))
    ca_certificates = models.TextField(
        CERTIFICATES["ca_certificates"],
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "PEM. Only these CAs may have signed the provider's certificate. Empty: the usual ones, or those "
            "of SSL_CERT_FILE."
        ),
    )
    client_certificate = models.TextField(
        CERTIFICATES["client_certificate"],
        blank=True,
        default="",
        db_default="",
        help_text=_("PEM, with its chain. Shown to a provider that asks who the gateway is."),
    )
    client_key = EncryptedTextField(
        SEALED["client_key"], blank=True, default="", db_default="", origin_field="client_key_origin"
    )
    client_key_origin = SecretOriginField(_("client certificate's key saved for"))
    query = models.JSONField(
        _("query parameters"),
        default=dict,
        blank=True,
        help_text=_('JSON object of texts, for example {"api-version": "2025-04-01-preview"}.'),
    )
    connect_timeout = models.FloatField(
        _("connect timeout"),
        default=10.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("Seconds to get a connection."),
    )
    first_byte_timeout = models.FloatField(
        _("first byte timeout"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1.0)],
        help_text=_("Seconds to the first byte of the answer. Empty: as long as the client waits."),
    )
    silence_timeout = models.FloatField(
        _("silence timeout"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1.0)],
        help_text=_("Longest silence in the answer, in seconds. Empty: 120, or 600 for models that think."),
    )
    max_retries = models.PositiveSmallIntegerField(
        _("max retries"),
        default=2,
        help_text=_("More tries after a failure, before the first byte of the answer."),
    )
    options = models.JSONField(
        _("profile options"),
        default=dict,
        blank=True,
        help_text=_("JSON object; what differs from the preset. docs/conversion.md names all options."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    origin = models.CharField(
        _("origin"), max_length=20, choices=Origin.choices, default=Origin.ADMIN, editable=False
    )
    environment_key = models.CharField(
        _("environment key"), max_length=40, blank=True, default="", editable=False
    )
    brought_back_at = models.DateTimeField(_("brought back at"), null=True, blank=True, editable=False)
    created = models.DateTimeField(_("created"), auto_now_add=True)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        query: Any = self.query
        if not (isinstance(query, dict) and all(isinstance(value, str) for value in query.values())):
            raise ValidationError({"query": _("Enter a JSON object whose values are texts.")})
        check_address(self.base_url)
        self._check_way()
        if self._state.adding:
            return
        old_slug = Provider.objects.filter(pk=self.pk).values_list("slug", flat=True).first()
        if old_slug and old_slug != self.slug and RequestLog.objects.filter(provider=old_slug).exists():
            raise ValidationError(
                {
                    "slug": _("The history has requests of %(slug)s. Keep it, or add a new provider.")
                    % {"slug": old_slug}
                }
            )

    def destination(self, field: str) -> str:
        """A proxy's login goes to the proxy. All else goes to the server, the way that is set here.

        The way belongs to it: with another proxy and a CA of their own, somebody could answer in the
        server's name.
        """
        proxy = "" if self.proxy == DIRECT else origin_of(self.proxy)
        if field == "proxy_login":
            return proxy
        through = f" through {proxy}" if proxy else ""
        trusting = f" trusting the CA {fingerprint(self.ca_certificates)}" if self.ca_certificates else ""
        return f"{origin_of(self.base_url)}{through}{trusting}"

    def left_behind(self) -> list[str]:
        """What was saved for another destination and is not sent any more, by name."""
        names = [one.shown_label for one in self.credentials.all() if one.enabled and one.is_left_behind]
        sealed = [name for name in self._sealed_in_use() if is_left_behind(self, name)]
        return [*names, *(str(SEALED[name]) for name in sealed)]

    def _sealed_in_use(self) -> list[str]:
        login = ["proxy_login"] if self.proxy not in ("", DIRECT) else []
        return ["headers", *login, *(["client_key"] if self.client_certificate else [])]

    def _check_way(self) -> None:
        """Raises ValidationError for a proxy or a certificate that no call could use."""
        if self.proxy and self.proxy != DIRECT:
            if "@" in self.proxy:
                raise ValidationError({"proxy": _("User and password of the proxy go into its login.")})
            try:
                # without a scheme, another spelling of direct would be a host
                found = proxy_of(self.proxy if "://" in self.proxy else "")
            except UnusableProxy:
                raise ValidationError({"proxy": PROXY_FORM}) from None
            if is_refused_host(found.host) and not gateway_conf().allow_link_local:
                raise ValidationError({"proxy": REFUSED_ADDRESS})
        if len(self.destination("")) > LONGEST_DESTINATION:
            raise ValidationError(_("Base URL and proxy are too long together."))
        try:
            tls_context(self.ca_certificates)
        except UnusableCertificate as problem:
            raise ValidationError({"ca_certificates": str(problem)}) from None
        try:
            if self.client_certificate and self.client_key:
                tls_context("", self.client_certificate, opened(self, "client_key"))
        except UnusableCertificate as problem:
            raise ValidationError({"client_certificate": str(problem)}) from None
        except encryption.EncryptionError:
            # whoever saves it is told that it must be entered again
            pass

    def network_path(self) -> NetworkPath | None:
        """How it is reached; None for the usual way.

        Raises encryption.EncryptionError (SavedElsewhere), UnusableProxy.
        """
        used = self._sealed_in_use()
        login = opened(self, "proxy_login") if "proxy_login" in used else ""
        return _network_path(self, login, opened(self, "client_key") if "client_key" in used else "")

    def network_path_without_secrets(self) -> NetworkPath | None:
        """The same way, for one whose secrets cannot be opened. Raises UnusableProxy."""
        return _network_path(self, "", "")

    def first_model(self) -> str:
        """The upstream model of the first mapping that names one for this provider; "" when none does."""
        models = self.targets.filter(enabled=True).exclude(upstream_model__contains="*")
        named = models.exclude(upstream_model="").order_by("mapping__position", "position")
        found: str | None = named.values_list("upstream_model", flat=True).first()
        return found or ""

    def set_headers(self, headers: dict[str, str]) -> None:
        """Replace the extra headers; they are sealed when the record is saved."""
        self.headers = headers_text(headers)

    def revealed_headers(self) -> dict[str, str]:
        """The extra headers in clear text. Raises encryption.EncryptionError (SavedElsewhere)."""
        values: Any = json.loads(opened(self, "headers") or "{}")
        return {str(name): str(value) for name, value in values.items()}

    def add_credential(self, value: str, label: str = "", **fields: Any) -> ProviderCredential:
        """Store one more credential of this stored provider."""
        credential: ProviderCredential = self.credentials.create(value=value, label=label, **fields)
        return credential

    def bring_back(self) -> None:
        """Use again whatever of this provider is set aside; every process forgets its failures so far."""
        with transaction.atomic():
            for credential in self.credentials.exclude(set_aside_since=None):
                credential.bring_back()
            now = timezone.now()
            before = Provider.objects.select_for_update().get(pk=self.pk).brought_back_at or now
            # later than the last time, whatever the clock says: processes compare the two
            self.brought_back_at = max(now, before + timedelta(milliseconds=1))
            self.save(update_fields=["brought_back_at"])
            SetAsideTarget.objects.filter(provider=self.slug).delete()


def check_address(base_url: str, field: str = "base_url") -> None:
    """Refuse an address that calls may not go to. Raises ValidationError for the field.

    A name is not resolved here: upstream/http1/happy_eyeballs.py looks where it leads, when it is called.
    """
    if "{" in base_url.partition("://")[2].partition("/")[0]:
        # the client would name the server that gets the credential
        raise ValidationError({field: _("{model} may stand in the path only, not in the host.")})
    if leads_to_refused_host(base_url) and not gateway_conf().allow_link_local:
        raise ValidationError({field: REFUSED_ADDRESS})


def _network_path(record: Provider, login: str, key: str) -> NetworkPath | None:
    proxy = proxy_of(record.proxy, login_of(login)) if record.proxy not in ("", DIRECT) else None
    certificate = record.client_certificate if key else ""
    tls = TLSIdentity(record.ca_certificates, certificate, key)
    path = NetworkPath(proxy, record.proxy == DIRECT, tls if tls != TLSIdentity() else None)
    return path if path != NetworkPath() else None


def headers_text(headers: dict[str, str]) -> str:
    """The form in which extra headers are sealed; empty for none."""
    return json.dumps(headers) if headers else ""
