"""Managed settings: the policy that a signed-in client reads at each start and about once an hour.

The client computes a checksum over what it stored and sends it with its next read, so the text that is
hashed has to be what JavaScript makes of the settings: keys sorted by UTF-16 units, no white space, numbers
as JavaScript prints them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.values import frozen

PATH: Final = "/managed/settings"
# what JavaScript keeps of a whole number
SAFE: Final = 2**53 - 1
DEEPEST: Final = 30
LARGEST: Final = 256 * 1024
# lists of rules: those of several policies hold together
_JOINED: Final = frozenset({"allow", "deny", "ask", "additionalDirectories"})
# keys of a settings file that have a meaning in a policy, as measured with 2.1.332 or read there
KNOWN: Final = frozenset(
    {
        "$schema", "agent", "allowManagedHooksOnly", "allowManagedPermissionRulesOnly", "allowedMcpServers",
        "alwaysThinkingEnabled", "apiKeyHelper", "attribution", "attributionProject", "autoMode",
        "autoUpdatesChannel", "availableModels", "awsAuthRefresh", "awsCredentialExport",
        "blockedMarketplaces", "cleanupPeriodDays", "companyAnnouncements", "deniedMcpServers",
        "deniedModels", "disableAllHooks", "disableAutoMode", "disableBypassPermissionsMode", "effortLevel",
        "enableAllProjectMcpServers", "enabledPlugins", "enforceAvailableModels", "env",
        "extraKnownMarketplaces", "fastMode", "forceRemoteSettingsRefresh", "hooks",
        "includeCoAuthoredBy", "includeGitInstructions", "language", "managedMcpServers", "maxEffortLevel",
        "model", "modelOverrides", "modelPicker", "modelPricing", "modelSettings", "otelHeadersHelper",
        "outputStyle", "permissions", "plansDirectory", "requiredMaximumVersion", "requiredMinimumVersion",
        "respectGitignore", "sandbox", "showTurnDuration", "skipWebFetchPreflight", "spinnerTipsEnabled",
        "statusLine", "strictKnownMarketplaces", "teammateMode", "viewMode",
    }
)  # fmt: skip
# these work in the machine's own policy file alone
MACHINE_ONLY: Final = frozenset(
    {
        "allowedProviders", "forceLoginGatewayUrl", "forceLoginMethod", "forceLoginOrgUUID",
        "gatewayInternalNetworks",
    }
)  # fmt: skip


@frozen
class Document:
    """What the client gets. `checksum`: sha256:HEX over `settings` in canonical form."""

    settings: dict[str, Any]
    checksum: str

    @property
    def etag(self) -> str:
        return f'"{self.checksum}"'

    def body(self) -> dict[str, Any]:
        return {
            "uuid": f"policy-{self.checksum.removeprefix('sha256:')[:32]}",
            "checksum": self.checksum,
            "settings": self.settings,
        }


def document(policies: Iterable[Mapping[str, Any]]) -> Document:
    """The settings of several policies, the later ones over the earlier."""
    merged: dict[str, Any] = {}
    for settings in policies:
        merged = merged_settings(merged, settings)
    return Document(merged, checksum(merged))


def merged_settings(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, Any]:
    """Objects are merged key by key, lists of permission rules joined; of anything else `above` wins."""
    merged = dict(below)
    for name, value in above.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = merged_settings(before, value)
        elif name in _JOINED and isinstance(before, list) and isinstance(value, list):
            merged[name] = [*before, *(one for one in value if one not in before)]
        else:
            merged[name] = value
    return merged


def checksum(settings: Mapping[str, object]) -> str:
    """As the client computes it."""
    return "sha256:" + hashlib.sha256(canonical(settings).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON as JavaScript writes it, with sorted keys and without white space."""
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def problem_of(settings: object) -> str:
    """Why these settings cannot be a policy, in a few words; "" if they can."""
    if not isinstance(settings, dict):
        return "not an object"
    try:
        problem = _problem(settings, DEEPEST)
        return problem or ("too large" if len(canonical(settings)) > LARGEST else "")
    except (RecursionError, UnicodeEncodeError):
        return "nested too deeply or not text"


def warnings_of(settings: Mapping[str, object]) -> list[str]:
    """Keys that this version does not know, and those that work in the machine's own file alone."""
    return sorted(name for name in settings if name not in KNOWN)


def _problem(value: Any, deepest: int) -> str:
    if deepest == 0:
        return "nested too deeply"
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        return "" if value == value and abs(value) != float("inf") else "a number that is none"
    elif isinstance(value, int) and not isinstance(value, bool):
        return "" if abs(value) <= SAFE else "a number of too many digits"
    elif isinstance(value, list):
        return next((found for one in value if (found := _problem(one, deepest - 1))), "")
    elif isinstance(value, dict):
        for name, one in value.items():
            name.encode()
            if found := _problem(one, deepest - 1):
                return found
    return ""


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """A float as JavaScript prints it: shortest digits, 1 for 1.0, exponents from 1e21 and below 1e-6."""
    if value == 0:
        return "0"
    sign, digits, exponent = ("-" if value < 0 else ""), *_scientific(abs(value))
    places = len(digits)
    if places <= exponent <= 21:
        return sign + digits + "0" * (exponent - places)
    if 0 < exponent <= 21:
        return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
    if -6 < exponent <= 0:
        return f"{sign}0.{'0' * -exponent}{digits}"
    power = exponent - 1
    tail = f".{digits[1:]}" if places > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def _scientific(value: float) -> tuple[str, int]:
    """The shortest digits, and where the point stands behind the first of them."""
    mantissa, _, power = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = whole + fraction
    exponent = len(whole) + int(power or 0)
    stripped = digits.lstrip("0")
    return stripped.rstrip("0"), exponent - (len(digits) - len(stripped))
