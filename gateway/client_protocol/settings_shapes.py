"""What the values of a settings file have to be: the client drops a value of another type, and says so.

The table has the keys with a meaning in a policy, as measured with 2.1.332 or read there. It answers three
questions: which value is a mistake, which name is a typo, and which lists of several policies hold together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gateway.values import frozen


@frozen
class Leaf:
    """A value without names of its own. `words`: what it has to be. `joined`: a list to which each policy
    adds. `coerced`: the client takes what is no text as one."""

    words: str
    fits: Callable[[object], bool]
    joined: bool = False
    coerced: bool = False


@frozen
class Names:
    """An object. `known`: the names with a meaning; `others`: the shape of all other values, None where
    another name is a typo."""

    known: Mapping[str, Shape]
    others: Shape | None = None


Shape = Leaf | Names


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(item: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(item, value))


ANY: Final = Leaf("a value, not null", lambda value: value is not None)
_TEXT: Final = Leaf("a text", _is_text)
_SWITCH: Final = Leaf("true or false", lambda value: isinstance(value, bool))
_NUMBER: Final = Leaf("a number", _is_number)
_TEXTS: Final = Leaf("a list of texts", _is_list(_is_text))
_JOINED_TEXTS: Final = Leaf("a list of texts", _is_list(_is_text), joined=True)
_OBJECTS: Final = Leaf("a list of objects", _is_list(lambda one: isinstance(one, dict)))
_JOINED_OBJECTS: Final = Leaf(_OBJECTS.words, _OBJECTS.fits, joined=True)
_ITEMS: Final = Leaf("a list", _is_list(lambda one: one is not None))
_JOINED_ITEMS: Final = Leaf(_ITEMS.words, _ITEMS.fits, joined=True)
_VARIABLES: Final = Names(
    {},
    others=Leaf(
        "a text, a number, or true or false",
        lambda value: isinstance(value, str | int | float),
        coerced=True,
    ),
)
_MODEL_NAMES: Final = Names({}, others=_TEXT)
_FREE: Final = Names({}, others=ANY)

_EVENTS: Final = (
    "ConfigChange", "CwdChanged", "Elicitation", "ElicitationResult", "FileChanged", "InstructionsLoaded",
    "Notification", "PermissionDenied", "PermissionRequest", "PostCompact", "PostToolUse",
    "PostToolUseFailure", "PreCompact", "PreToolUse", "SessionEnd", "SessionStart", "Setup", "Stop",
    "StopFailure", "SubagentStart", "SubagentStop", "TaskCompleted", "TaskCreated", "TeammateIdle",
    "UserPromptSubmit", "WorktreeCreate", "WorktreeRemove",
)  # fmt: skip
_PERMISSIONS: Final = Names(
    {
        **dict.fromkeys(("allow", "deny", "ask", "additionalDirectories"), _JOINED_TEXTS),
        **dict.fromkeys(("defaultMode", "disableAutoMode", "disableBypassPermissionsMode"), _TEXT),
    }
)
_SANDBOX: Final = Names(
    {
        **dict.fromkeys(
            (
                "enabled", "failIfUnavailable", "autoAllowBashIfSandboxed", "allowUnsandboxedCommands",
                "enableWeakerNestedSandbox", "enableWeakerNetworkIsolation",
            ),
            _SWITCH,
        ),
        "excludedCommands": _TEXTS,
        "ignoreViolations": _FREE,
        "ripgrep": _FREE,
        "filesystem": Names(
            {
                **dict.fromkeys(("denyRead", "denyWrite"), _JOINED_TEXTS),
                **dict.fromkeys(("allowRead", "allowWrite"), _TEXTS),
                "allowManagedReadPathsOnly": _SWITCH,
            }
        ),
        "network": Names(
            {
                "deniedDomains": _JOINED_TEXTS,
                **dict.fromkeys(("allowedDomains", "allowUnixSockets", "allowMachLookup"), _TEXTS),
                **dict.fromkeys(
                    ("allowAllUnixSockets", "allowLocalBinding", "allowManagedDomainsOnly"), _SWITCH
                ),
                **dict.fromkeys(("httpProxyPort", "socksProxyPort"), _NUMBER),
            }
        ),
    }
)  # fmt: skip
_PRICES: Final = Names(dict.fromkeys(("input", "output", "cacheRead", "cacheWrite"), _NUMBER))

SETTINGS: Final = Names(
    {
        **dict.fromkeys(
            (
                "$schema", "agent", "apiKeyHelper", "attributionProject", "autoUpdatesChannel",
                "awsAuthRefresh", "awsCredentialExport", "disableAutoMode", "disableBypassPermissionsMode",
                "effortLevel", "language", "maxEffortLevel", "model", "otelHeadersHelper", "outputStyle",
                "plansDirectory", "requiredMaximumVersion", "requiredMinimumVersion", "teammateMode",
                "viewMode",
            ),
            _TEXT,
        ),
        **dict.fromkeys(
            (
                "allowManagedHooksOnly", "allowManagedPermissionRulesOnly", "alwaysThinkingEnabled",
                "disableAllHooks", "enableAllProjectMcpServers", "enforceAvailableModels", "fastMode",
                "forceRemoteSettingsRefresh", "includeCoAuthoredBy", "includeGitInstructions",
                "respectGitignore", "showTurnDuration", "skipWebFetchPreflight", "spinnerTipsEnabled",
            ),
            _SWITCH,
        ),
        "cleanupPeriodDays": _NUMBER,
        **dict.fromkeys(("availableModels", "companyAnnouncements"), _TEXTS),
        "deniedModels": _JOINED_TEXTS,
        "allowedMcpServers": _OBJECTS,
        "deniedMcpServers": _JOINED_OBJECTS,
        "strictKnownMarketplaces": _ITEMS,
        "blockedMarketplaces": _JOINED_ITEMS,
        "permissions": _PERMISSIONS,
        "sandbox": _SANDBOX,
        "env": _VARIABLES,
        "modelOverrides": _MODEL_NAMES,
        "autoMode": Names(
            {**dict.fromkeys(("allow", "soft_deny", "hard_deny"), _JOINED_TEXTS), "environment": _TEXTS}
        ),
        "hooks": Names(dict.fromkeys(_EVENTS, _JOINED_OBJECTS)),
        "modelPicker": Names({"options": _OBJECTS, "replaceBuiltInOptions": _SWITCH}),
        "modelPricing": Names({"overrides": Names({}, others=_PRICES), "multiplier": _NUMBER}),
        "modelSettings": Names({}, others=_FREE),
        "extraKnownMarketplaces": Names({}, others=_FREE),
        **dict.fromkeys(("attribution", "enabledPlugins", "statusLine"), _FREE),
        "managedMcpServers": ANY,
    }
)  # fmt: skip
# these work in the machine's own policy file alone
MACHINE_ONLY: Final = frozenset(
    {
        "allowedProviders", "forceLoginGatewayUrl", "forceLoginMethod", "forceLoginOrgUUID",
        "gatewayInternalNetworks",
    }
)  # fmt: skip


def shape_of(name: str, shape: Names) -> Shape | None:
    """The shape of the value of `name`; None: the name is not known."""
    return shape.known.get(name, shape.others)


def mistake_in(settings: Mapping[str, object], shape: Names = SETTINGS, path: str = "") -> str:
    """The first value of a known name that the client would drop, in a few words; "" if there is none."""
    for name, value in settings.items():
        expected = shape_of(name, shape)
        if isinstance(expected, Names):
            if not isinstance(value, dict):
                return f"{path}{name} has to be an object"
            if found := mistake_in(value, expected, f"{path}{name}."):
                return found
        elif expected is not None and not expected.fits(value):
            return f"{path}{name} has to be {expected.words}"
    return ""


def unknown_names(settings: Mapping[str, object], shape: Names = SETTINGS, path: str = "") -> Iterator[str]:
    """The names that have no known effect, at every level, with the names above them: permissions.denny."""
    for name, value in settings.items():
        expected = shape_of(name, shape)
        if expected is None:
            yield path + name
        elif isinstance(expected, Names) and isinstance(value, dict):
            yield from unknown_names(value, expected, f"{path}{name}.")


def restricts(name: str) -> bool:
    """Whether a list of a name that the table lacks forbids something, as its name says."""
    return any(word in name.lower() for word in ("deny", "denied", "block", "forbid"))
