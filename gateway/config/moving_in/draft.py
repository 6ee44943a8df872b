"""Draft: what a foreign file becomes, and the report of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from django.utils.text import slugify
from django.utils.translation import gettext as _

from gateway import patterns
from gateway.config.file.document import VERSION
from gateway.config.presets.presets import Preset, preset
from gateway.config.presets.recognise import Recognised, recognised

_STEP: Final = 10
_NO_NAME: Final = patterns.compiled(r"[^A-Z0-9]+")
# how a reference to a variable may be written: $NAME, ${NAME}, os.environ/NAME
_VARIABLE: Final = patterns.compiled(r"(?:\$\{?|os\.environ/)([A-Za-z_][A-Za-z0-9_]{0,99})\}?")


class Fate(StrEnum):
    """What became of an entry of the file."""

    TAKEN = "taken"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """`path`: where it stands in the file. Never with a secret."""

    fate: Fate
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class DraftTarget:
    """A place to send to: a provider of the draft by its slug, and the model's name there."""

    provider: str
    model: str
    weight: float | None = None
    enabled: bool = True

    @property
    def as_fallback(self) -> DraftTarget:
        """The same without a share of its own."""
        return replace(self, weight=None)

    def as_json(self, weights: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"provider": self.provider, "upstream_model": self.model}
        if not self.enabled:
            found["enabled"] = False
        return {**found, "weight": self.weight} if weights and self.weight is not None else found


@dataclass
class Draft:
    """`present`: base URLs of the providers that exist here, by slug. `weights`: targets can carry a share.
    `source`: the note of mappings that say nothing themselves.

    `secrets`: values that stood in the file in clear text, by the names of variables that the document has
    in their place.
    """

    present: Mapping[str, str] = field(default_factory=dict)
    weights: bool = False
    source: str = ""
    lines: list[ReportLine] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """For `document.imported`."""
        return {
            "ccproxy": VERSION,
            "providers": list(self.providers.values()),
            "mappings": self.mappings,
            "keys": self.keys,
        }

    def say(self, fate: Fate, path: str, text: str) -> None:
        self.lines.append(ReportLine(fate, path, text))

    def provider(
        self, path: str, name: str, base_url: str, secret: Any, *, api_version: str = "", known: str = ""
    ) -> str | None:
        """Make a provider, or find the one of this address; its slug, None when the address is none.

        `known`: the preset to take when the address does not tell. Each other secret of an address is one
        more credential.
        """
        credential = self.reference(secret, name)
        if credential is None and secret is not None and secret != "":
            self.say(Fate.MISSING, path, _("its key is not usable: a text has to stand there"))
        try:
            found = recognised(base_url, api_version=api_version, has_key=credential is not None)
        except ValueError:
            self.say(Fate.MISSING, path, _("%(url)s is no address.") % {"url": base_url[:200]})
            return None
        chosen = preset(known) if known and found.preset.slug == "generic" else found.preset
        slug = self._slug(name, found.base_url)
        entry = self.providers.get(slug)
        if entry is None:
            entry = self.providers[slug] = _provider(slug, name, found, chosen)
            facts = {"name": name, "preset": chosen.label, "url": found.base_url}
            self.say(Fate.TAKEN, path, _("provider %(name)s (preset %(preset)s) at %(url)s") % facts)
        if credential is not None and credential not in [one["value"] for one in entry["credentials"]]:
            number = len(entry["credentials"])
            label = "" if not number else f"{name} {number + 1}"
            entry["credentials"].append({"label": label, "position": 0, "value": credential})
        return slug

    def mapping(
        self, pattern: str, targets: Iterable[DraftTarget], when: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Add one rule behind those there are. Of two targets that are one place the first one counts."""
        places: dict[tuple[str, str], DraftTarget] = {}
        for target in targets:
            places.setdefault((target.provider, target.model), target)
        self.mappings.append(
            {
                "position": (len(self.mappings) + 1) * _STEP,
                "pattern": pattern,
                "when": dict(when or {}),
                "note": self.source,
                **more,
                "targets": [one.as_json(self.weights) for one in places.values()],
            }
        )

    def key(self, path: str, name: str, secret: Any) -> None:
        """Take a key with which clients were let in."""
        reference = self.reference(secret, name)
        if reference is not None:
            self.keys.append({"name": name, "key": reference})
            self.say(Fate.TAKEN, path, _("client key %(name)s; clients go on with it") % {"name": name})
        else:
            self.say(Fate.MISSING, path, _("is not usable: a text has to stand there"))

    def reference(self, secret: Any, name: str) -> dict[str, str] | None:
        """The variable that holds a secret; one that stands there in clear text gets a name."""
        text = secret.strip() if isinstance(secret, str) else ""
        if not text:
            return None
        variable = variable_of(text)
        if variable:
            return {"env": variable}
        for known, value in self.secrets.items():
            if value == text:
                return {"env": known}
        start = f"FILE_{_NO_NAME.sub('_', name.upper()).strip('_') or 'SECRET'}_KEY"
        made, number = start, 1
        while made in self.secrets:
            number += 1
            made = f"{start}_{number}"
        self.secrets[made] = text
        return {"env": made}

    def each(
        self, values: Mapping[str, Any], path: str, known: Mapping[str, Callable[[Any, str], None] | None]
    ) -> None:
        """Hand each entry to whoever knows it; None: somebody else does. Others have no counterpart."""
        for name, value in values.items():
            where = f"{path}.{name}" if path else str(name)
            if name not in known:
                self.say(Fate.MISSING, where, _("has no counterpart here"))
            elif (take := known[name]) is not None:
                take(value, where)

    def a_list(self, value: Any, path: str) -> list[Any]:
        """The list that stands there; a line and [] when it is something else."""
        return self._of_kind(value, path, list, _("is not usable: a list has to stand there")) or []

    def an_object(self, value: Any, path: str) -> dict[str, Any]:
        """The object that stands there, its names as texts; a line and {} when it is something else."""
        found = self._of_kind(value, path, dict, _("is not usable: an object has to stand there")) or {}
        return {str(name): one for name, one in found.items()}

    def _of_kind(self, value: Any, path: str, kind: type, otherwise: str) -> Any:
        if value is None or isinstance(value, kind):
            return value
        self.say(Fate.MISSING, path, otherwise)
        return None

    def _slug(self, name: str, base_url: str) -> str:
        for slug, entry in self.providers.items():
            if entry["base_url"] == base_url:
                return slug
        start = slugify(name)[:40] or "provider"
        slug, number = start, 1
        while slug in self.providers or self.present.get(slug, base_url) != base_url:
            number += 1
            slug = f"{start}-{number}"
        return slug


def variable_of(text: Any) -> str:
    """The environment variable that a value refers to; "" when it is none."""
    found = _VARIABLE.fullmatch(text.strip()) if isinstance(text, str) else None
    return found.group(1) if found else ""


def _provider(slug: str, name: str, found: Recognised, chosen: Preset) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": name[:100],
        "preset": chosen.slug,
        "base_url": found.base_url,
        "auth": found.auth,
        "query": dict(found.query),
        "options": dict(found.options),
        "credentials": [],
    }
