"""Which known provider a base URL belongs to, and how to call it (pure)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.utils.translation import gettext as _

from gateway import patterns
from gateway.conf import GatewayConf, is_loopback
from gateway.config.presets.presets import GENERIC, Alternative, Preset, preset, presets
from gateway.models import SavedElsewhere
from gateway.security.destinations import origin_of

_AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_AZURE_SLUGS: Final = frozenset({"azure-v1", "azure-deployment"})
_ENDINGS: Final = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "anthropic": "/v1/messages",
}
_VERSION_DATE: Final = patterns.compiled(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Recognised:
    """How to call the server behind a base URL. `options` are profile options beyond the preset's."""

    preset: Preset
    base_url: str
    auth: str
    query: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return urlsplit(self.base_url).netloc


def recognised(base_url: str, *, api_version: str = "", has_key: bool = True) -> Recognised:
    """Recognise a base URL as it stands in OPENAI_BASE_URL.

    Accepted: with or without a scheme, a final slash, the path of a protocol
    (`/chat/completions`, `/responses`, `/v1/messages`) at the end, which then is the one to speak,
    and a query. `api_version` makes an unknown host an Azure one (a company's
    own name for it). Without a key nothing is shown to the server.
    """
    url = _split(base_url)
    path, protocol = _without_protocol(url.path.rstrip("/"))
    query = dict(parse_qsl(url.query))
    known = _known(url, path)
    if known.slug == "openai" and protocol == "chat":
        known = preset("openai-chat")
    if _is_azure(url.hostname or "", path) or (api_version and known.slug == GENERIC and not _is_local(url)):
        return _azure(url, path, query, api_version or query.get("api-version", ""), has_key)
    endpoint = _endpoint(known, path)
    if protocol and protocol != endpoint.protocol:
        endpoint = dataclasses.replace(known.endpoint(protocol), protocol=protocol)
    auth = "none" if not has_key else "bearer" if endpoint.auth == "none" else endpoint.auth
    options = {"protocol": endpoint.protocol} if endpoint.protocol != known.protocol else {}
    return Recognised(known, f"{url.scheme}://{url.netloc}{path}", auth, query, options)


def check_environments_address(destination: str, conf: GatewayConf) -> None:
    """Raise SavedElsewhere unless a record's destination is the origin of OPENAI_BASE_URL, with no detour.

    OPENAI_API_KEY and CUSTOM_HEADER_* are meant for that server, whatever the record says.
    """
    own = _environments_origin(conf.openai_base_url.strip() or conf.openai_base_url_default())
    if destination != own:
        text = _("The environment's secrets are for %(own)s and are not sent to %(now)s.")
        raise SavedElsewhere(text % {"own": own or "?", "now": destination})


@lru_cache(maxsize=8)
def _environments_origin(base_url: str) -> str:
    try:
        return origin_of(recognised(base_url).base_url)
    except ValueError:
        return ""


def _split(base_url: str) -> SplitResult:
    text = base_url.strip()
    try:
        if "://" not in text:
            text = ("http://" if is_loopback(urlsplit(f"//{text}").hostname or "") else "https://") + text
        url = urlsplit(text)
        port_is_a_number = url.port is None or url.port >= 0
    except ValueError:
        port_is_a_number = False
    if port_is_a_number and "@" in url.netloc:
        raise ValueError(
            _("OPENAI_BASE_URL must not hold a user and password; put them into CUSTOM_HEADER_AUTHORIZATION")
        )
    if not port_is_a_number or url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(
            _("%(url)r is not a web address; OPENAI_BASE_URL looks like https://api.openai.com/v1")
            % {"url": base_url}
        )
    return url


def _without_protocol(path: str) -> tuple[str, str | None]:
    """(path below which a protocol's own path begins, the protocol that was named)."""
    for protocol, ending in _ENDINGS.items():
        if path.endswith(ending):
            return path.removesuffix(ending).rstrip("/"), protocol
    return path, None


def _is_local(url: SplitResult) -> bool:
    return is_loopback(url.hostname or "")


def _known(url: SplitResult, path: str) -> Preset:
    """The preset of the host; of several, the one whose own URL is the longest beginning of this one."""
    found = [
        candidate
        for candidate in presets().values()
        if any(patterns.wildcard(host).fullmatch(url.hostname or "") for host in candidate.hosts)
        or (candidate.local_port and candidate.local_port == url.port)
    ]
    if not found:
        return preset(GENERIC)
    return max(found, key=lambda candidate: _shared(_endpoint(candidate, path), path))


def _endpoint(known: Preset, path: str) -> Alternative:
    """Which endpoint of a known service a URL means. A bare host says nothing about the protocol."""
    others = [other for other in known.alternatives if urlsplit(other.base_url).path]
    return max((known.own, *others), key=lambda endpoint: _shared(endpoint, path))


def _shared(endpoint: Alternative, path: str) -> int:
    """How much of the path an endpoint accounts for; -1 when the path is not its own."""
    own = urlsplit(endpoint.base_url).path
    return len(own) if own == path or path.startswith(own.rstrip("/") + "/") else -1


def _is_azure(host: str, path: str) -> bool:
    return host.endswith(_AZURE_HOSTS) or "/openai/deployments/" in path


def _azure(url: SplitResult, path: str, query: dict[str, str], version: str, has_key: bool) -> Recognised:
    """A deployment URL, the v1 URL, or the bare resource, where the version decides between the two."""
    if path in ("", "/openai"):
        path = "/openai/deployments/{model}" if version else "/openai/v1"
    base_url = f"{url.scheme}://{url.netloc}{path}"
    auth = "api-key" if has_key else "none"
    query.pop("api-version", None)
    if "/openai/deployments/" in path:
        chosen = preset("azure-deployment")
        version = version or chosen.query["api-version"]
        return Recognised(chosen, base_url, auth, {**query, "api-version": version}, _older(version))
    # the v1 path refuses a dated version, but takes these words
    if version and (not path.endswith("/v1") or not _VERSION_DATE.match(version)):
        query["api-version"] = version
    return Recognised(preset("azure-v1"), base_url, auth, query)


def _older(version: str) -> dict[str, Any]:
    """What Azure API versions do not support yet, by their date."""
    options: dict[str, Any] = {}
    if _VERSION_DATE.match(version):
        if version < "2024-11":
            options |= {"max_tokens_field": "max_tokens", "reasoning": "none"}
        if version < "2024-09":
            options |= {"stream_usage": False}
    return options


def is_azure(slug: str) -> bool:
    """Whether a preset is one of Azure's."""
    return slug in _AZURE_SLUGS


def azure_deployment(base_url: str) -> str:
    """The deployment in a URL of Azure, which answers whatever model is named; "" in any other URL."""
    try:
        parts = urlsplit(base_url).path.split("/") if ".azure.com/" in base_url else []
    except ValueError:
        return ""
    place = parts.index("deployments") + 1 if "deployments" in parts else len(parts)
    return unquote(parts[place]) if place < len(parts) else ""
