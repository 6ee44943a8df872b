"""ConfigSnapshot: the whole configuration, frozen, at one stamp.

A request uses one snapshot from beginning to end and never the database. Built from the records
by config/snapshot/loader.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from gateway import patterns
from gateway.cache import GenerationalCache
from gateway.errors import Stopped
from gateway.pricing.book import PriceBook
from gateway.routing.condition_index import ConditionIndex
from gateway.routing.conditions import ALWAYS, Condition
from gateway.routing.network_path import NetworkPath
from gateway.routing.secret_forms import kept_secret
from gateway.routing.shares import Shares
from gateway.safeguards.rules import ActionRule

# asked models, names that clients make up among them, whose resolution is remembered
LARGEST_MEMO: Final = 2048


@dataclass(frozen=True, slots=True)
class ModelRule:
    """Profile options for the upstream models in whose name `match` is found.

    See docs/providers.md, "Model rules".
    """

    match: patterns.Pattern[str]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetAside:
    """Since when and why the provider refuses a credential. Times in Unix seconds.

    `until` None: until an admin or a successful probe brings it back.
    """

    since: float
    until: float | None = None
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential of a provider. `value` is clear text, hence no repr; `label` names it for people.

    Credentials of one `position` share the conversations; higher positions stand in for them.
    """

    id: int
    label: str
    value: str = field(repr=False)
    position: int = 0
    set_aside: SetAside | None = None


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider as the request path needs it. Timeouts in seconds.

    `slug` is its stable id, written into gw1 payloads and history. `credentials` are the enabled ones in
    their order; empty with auth `none`. `credential_unreadable`: something is stored that none of the
    encryption keys decrypts, or that was saved for another origin than the base URL's, and there is no
    other. `link_local`: whether it may be tried at a link-local address. `own_headers`: the values of
    headers that an admin added. `first_byte_timeout` None: as long as the client waits;
    `silence_timeout` None: as the profile says. resolve() merges the profile from `preset_options`, the
    matching `model_rules` and `options` (the admin's own), in this order. `network`: how it is reached;
    None for the usual way. `demo`: answered by the built-in demo transport. `brought_back`: whatever was
    set aside before this time (Unix seconds) is forgiven.
    """

    slug: str
    name: str
    base_url: str
    protocol: str = "chat"
    auth: str = "bearer"
    credentials: tuple[Credential, ...] = ()
    credential_unreadable: bool = False
    link_local: bool = False
    network: NetworkPath | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_headers: tuple[str, ...] = field(default=(), repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: float = 10.0
    first_byte_timeout: float | None = None
    silence_timeout: float | None = None
    max_retries: int = 2
    preset_options: Mapping[str, Any] = field(default_factory=dict)
    model_rules: tuple[ModelRule, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    ratelimit_prefix: str = "x-ratelimit-"
    enabled: bool = True
    demo: bool = False
    brought_back: float | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown to anybody, longest first."""
        through = self.network.proxy if self.network else None
        passwords = [through.login[1]] if through else []
        return kept_secret([*(one.value for one in self.credentials), *self.own_headers, *passwords])


@dataclass(frozen=True, slots=True)
class Target:
    """A place a rule may send to.

    `provider` is its slug, `upstream_model` "" the asked model unchanged; a `*` in it stands for what
    the pattern's first `*` matched. `model_family`: the name for the model rules when the upstream name
    hides the model. `weight`: its share of the sessions relative to the other targets' weights; None: it
    gets none, and only stands in for them.
    """

    provider: str
    upstream_model: str = ""
    model_family: str = ""
    enabled: bool = True
    weight: float | None = None

    @property
    def arm(self) -> str:
        """Its name among the arms of its mapping (routing/shares.py); the same in every installation."""
        return f"{self.provider}/{self.upstream_model}"


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """Another target that a share (0 to 1) of a mapping's requests is asked of, too (relay/shadow.py).

    `daily_cap`: US dollars in a day of UTC. `concurrency`: at a time in one process. `released`: contents
    may go there whatever the key.
    """

    target: Target
    share: float
    daily_cap: float
    concurrency: int = 2
    released: bool = False


@dataclass(frozen=True, slots=True)
class MappingRule:
    """One model mapping. Exact rules match a whole name; wildcard rules contain `*` (any text).

    `targets`: in their order, including disabled ones. `public_names`: names listed by GET /v1/models
    and accepted like exact names. `min_output_tokens` and `max_output_tokens`: floor and cap of
    max_tokens, in tokens. `condition`: what a request must be for it to take it, beside its name.
    `skips_blind`: targets that cannot see images are left out for requests that carry some, as long as
    another one is left. `salt`: what its sessions are divided by; `shares`: how, None if no target has a
    weight.
    """

    id: int
    pattern: str
    exact: bool
    targets: tuple[Target, ...]
    position: int = 0
    context_window: int | None = None
    max_output_tokens: int | None = None
    min_output_tokens: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    public_names: tuple[str, ...] = ()
    note: str = ""
    enabled: bool = True
    condition: Condition = ALWAYS
    skips_blind: bool = False
    regex: patterns.Pattern[str] | None = None
    salt: str = ""
    shares: Shares | None = None
    shadow: ShadowRule | None = None


@dataclass(frozen=True, slots=True)
class SearchEngineConfig:
    """The engine for the gateway's own web searches: `kind` is searxng, brave or tavily; `timeout` in
    seconds.
    """

    name: str
    kind: str
    base_url: str = ""
    credential: str = field(default="", repr=False)
    max_results: int = 8
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What one client key, or one person, may use; None = no limit.

    `spend_budget` (billionths of a US dollar) and `token_budget` (all tokens, cached ones included)
    apply to one `budget_period`: a day, week or month of UTC.
    """

    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    budget_period: str = "month"
    spend_budget: int | None = None
    token_budget: int | None = None


# why a key is refused
KeyRefusal = Literal["revoked", "expired", "deleted", "owner_inactive", "unknown"]
_SENTENCES: Final[Mapping[str, str]] = {
    "revoked": "this client key was revoked",
    "expired": "this client key expired on {end}",
    "deleted": "this client key was deleted",
    "owner_inactive": "the account of this client key's owner is not active",
    "unknown": "this client key is not known here",
}
WHOEVER: Final = "whoever runs the gateway"


@dataclass(frozen=True, slots=True)
class PersonLimits:
    """What a person may use over all keys and sign-ins. `account` is part of the names of the budgets'
    counters: it changes when somebody corrects what was spent. `allowed_models`: as those of a key."""

    limits: KeyLimits | None = None
    account: str = ""
    allowed_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy of clients: of everyone, of a group, of `people` (by primary key; None: keys of nobody), or of
    `keys` (None: who comes without one). `lists_models`: below its settings lie those that follow from the
    mappings and prices here."""

    settings: Mapping[str, Any]
    group: int | None = None
    people: frozenset[int | None] | None = None
    lists_models: bool = False
    keys: frozenset[int | None] | None = None


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One client key. `digest` is the hex SHA-256 of the key; `expires_at` is Unix seconds.

    `owner_active`: False when its owner may no longer log in. `allowed_models` are names or wildcard patterns
    of asked models; empty = all. `capture`: the policy for bodies, "" = the gateway's. `limits` None: none at
    all. `lineage`: the id of the first key in the chain of rotations, 0 = none; keys of one share what
    they used. `signed_in`: a client's, which reads usage headers. `person`: what its owner may use.
    """

    id: int
    name: str
    digest: str
    owner: str = ""
    owner_id: int | None = None
    expires_at: float | None = None
    revoked: bool = False
    allowed_models: tuple[str, ...] = ()
    capture: str = ""
    limits: KeyLimits | None = None
    owner_active: bool = True
    lineage: int = 0
    signed_in: bool = False
    person: PersonLimits | None = None

    @property
    def counted(self) -> bool:
        """Whether any limit holds for its requests."""
        return self.limits is not None or (self.person is not None and self.person.limits is not None)

    @property
    def holder(self) -> str:
        """Owner of the opaque data that clients carry: all keys of a user, or of a lineage, share it."""
        return f"key:{self.lineage or self.id}" if self.owner_id is None else f"user:{self.owner_id}"

    def refusal(self, now: float) -> KeyRefusal | None:
        """Why requests with it are refused at `now` (Unix seconds); None: they are not."""
        if self.revoked:
            return "revoked"
        if not self.owner_active:
            return "owner_inactive"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return None


KnownWindow = Callable[[str, str], int | None]


def _unknown(_base_url: str, _model: str) -> int | None:
    return None


class SecretLook(NamedTuple):
    """What a secret looks like, beside the built-in patterns.

    A regular expression, and a text that every match contains ("" when unknown).
    """

    name: str
    pattern: str
    literal: str = ""


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """`rules` in order of position; `keys` by digest. `sign_ins`: those of signed-in clients, by id, whose
    access tokens `token_keys` have signed. `policies` of clients in the order in which they are laid over
    each other; `groups` of the people whom a policy of a group may concern. `group_names`: the groups that
    conditions of rules name, by the primary key of each member; `counted_groups`: those that metrics count.

    `learnt`: profile options learnt from answers, by (provider slug, upstream model). `listed`: sizes
    from the provider's own list of models, by the same. `refused_options`: options, by the same, that an
    admin does not want learnt. `secrets`: configured values that must not be shown to anybody.
    `known_window`: the catalogue's context window, by the provider's base URL and the model's name.
    `contact`: whom people ask whose key is refused. `stopped`: why the emergency stop is on; None: it is off.
    `anonymous_allowed`: requests without a valid key are served (api/auth.py decides whose). `memo`
    belongs to resolve(), which caches there what it has worked out from this very snapshot. `conditions`:
    those of the rules, by their places.
    """

    stamp: int
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    rules: tuple[MappingRule, ...] = ()
    keys: Mapping[str, KeyEntry] = field(default_factory=dict)
    sign_ins: Mapping[int, KeyEntry] = field(default_factory=dict)
    token_keys: tuple[bytes, ...] = field(default=(), repr=False)
    policies: tuple[PolicyEntry, ...] = ()
    safeguard_rules: tuple[ActionRule, ...] = ()
    groups: Mapping[int, frozenset[int]] = field(default_factory=dict)
    group_names: Mapping[int, frozenset[str]] = field(default_factory=dict)
    counted_groups: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    anonymous_allowed: bool = False
    search_engine: SearchEngineConfig | None = None
    prices: PriceBook = field(default_factory=PriceBook)
    learnt: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    listed: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    refused_options: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    known_window: KnownWindow = field(default=_unknown, repr=False, compare=False)
    secret_looks: tuple[SecretLook, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    contact: str = WHOEVER
    stopped: str | None = None
    memo: GenerationalCache[Any, Any] = field(
        init=False, default_factory=lambda: GenerationalCache(LARGEST_MEMO), repr=False, compare=False
    )
    conditions: ConditionIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", ConditionIndex([rule.condition for rule in self.rules]))

    def admit(self) -> None:
        """Raises Stopped while the emergency stop is on."""
        if self.stopped is not None:
            raise Stopped(self.stopped)

    def dismissal(self, key: KeyEntry, now: float) -> str:
        """Why a request that came in with `key`, an entry of an earlier snapshot, must not continue.

        "" if it may. An expiry that the key already had lets the request finish; one that was set since does
        not.
        """
        entry = self.keys.get(key.digest)
        if entry is key:
            return ""
        if entry is None:
            return self.refusal_sentence("deleted")
        refusal = entry.refusal(now)
        if refusal is None or (refusal == "expired" and entry.expires_at == key.expires_at):
            return ""
        return self.refusal_sentence(refusal, entry)

    def refusal_sentence(self, refusal: KeyRefusal, entry: KeyEntry | None = None) -> str:
        """What a client reads whose key is refused, and whom to ask.

        Never the words `invalid x-api-key`: Claude Code shows a login page for them instead.
        """
        end = "" if entry is None or entry.expires_at is None else _moment(entry.expires_at)
        return f"{_SENTENCES[refusal].format(end=end)}; ask {self.contact}"

    @property
    def vocabularies(self) -> frozenset[str]:
        """The vocabularies that some provider or mapping counts tokens with (profile option `vocabulary`)."""
        providers = [provider for provider in self.providers.values() if provider.enabled]
        layers: list[Mapping[str, Any]] = [rule.options for rule in self.rules if rule.enabled]
        for provider in providers:
            layers += [provider.preset_options, provider.options]
        return frozenset(layer["vocabulary"] for layer in layers if layer.get("vocabulary"))
