"""References within one JSON Schema: found, replaced by copies, or renamed so that every service reads them.

A reference is a URI reference (RFC 3986). Its fragment is percent-encoded and holds a JSON Pointer (RFC
6901) or the name of an anchor. Schemas come from clients, so copying is bounded: definitions that refer to
each other could grow without end.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urljoin

from gateway import patterns
from gateway.conversion.tools.schema_walk import noted, subschemas, with_subschemas
from gateway.wire.messages import JSONObject

# Copies within one schema may add up to this many characters, about 75,000 tokens.
MAX_COPIED: Final = 300_000
MAX_WITHIN: Final = 40
_DEFINITIONS: Final = ("$defs", "definitions")
_ANCHORS: Final = ("$anchor", "$dynamicAnchor", "$recursiveAnchor")
# where no schema extends another, the dynamic ones mean what the first means
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_NOT_PLAIN: Final = patterns.compiled(r"[^A-Za-z0-9_-]")
_PLAIN: Final = patterns.compiled(r"\A#(/\$defs/[A-Za-z0-9_-]+)?\Z")


class References:
    """The targets of the references in one schema."""

    __slots__ = ("_found", "_names", "_root")

    def __init__(self, root: JSONObject) -> None:
        self._root = root
        self._found: dict[str, JSONObject | None] = {}
        self._names: dict[str, JSONObject] | None = None

    def target(self, ref: object) -> JSONObject | None:
        """What `ref` points to; None when it is foreign, leads nowhere or is not a reference."""
        if type(ref) is not str:
            return None
        if ref not in self._found:
            self._found[ref] = self._looked_up(ref)
        return self._found[ref]

    def _looked_up(self, ref: str) -> JSONObject | None:
        base, _, fragment = ref.partition("#")
        start = self._based(base) if base else self._root
        if start is None or not fragment:
            return start
        if fragment.startswith("/"):
            return _pointed(start, fragment)
        return self._named().get(f"#{unquote(fragment)}")

    def _based(self, base: str) -> JSONObject | None:
        """The schema whose `$id` is `base`, as it is written or relative to that of the root."""
        found = self._named().get(base)
        own = self._root.get("$id")
        return self._named().get(_joined(own, base)) if found is None and type(own) is str else found

    def _named(self) -> dict[str, JSONObject]:
        """`$id` -> its schema, and `#NAME` -> the schema with that anchor."""
        if self._names is None:
            self._names = {}
            waiting = [self._root]
            while waiting:
                schema = waiting.pop()
                for keyword in _ANCHORS:
                    if type(schema.get(keyword)) is str:
                        self._names.setdefault(f"#{schema[keyword]}", schema)
                if type(schema.get("$id")) is str:
                    self._names.setdefault(schema["$id"].removesuffix("#"), schema)
                waiting += subschemas(schema)
        return self._names


def resolved(root: JSONObject, ref: object) -> JSONObject | None:
    """The target of one reference in `root`. To look up many, keep a `References`."""
    return References(root).target(ref)


def without_base(schema: JSONObject, base: str) -> JSONObject:
    """References that name the root by its own `$id` become local, so that the root can drop it."""
    ref = schema.get("$ref")
    named, _, fragment = ref.partition("#") if isinstance(ref, str) else ("", "", "")
    if base and named and base in (named, _joined(base, named)):
        schema = {**schema, "$ref": f"#{fragment}"}
    return with_subschemas(schema, lambda below: without_base(below, base))


def _joined(base: str, relative: str) -> str:
    try:
        return urljoin(base, relative).removesuffix("#")
    except ValueError:
        return relative


def _static(schema: JSONObject) -> JSONObject:
    """The same schema with its reference, of whatever kind, as `$ref`."""
    keyword = next((name for name in _REFERENCES if name in schema), "$ref")
    if keyword == "$ref":
        return schema
    return {"$ref": schema[keyword], **_without(schema, *_REFERENCES)}


def inline_refs(schema: JSONObject) -> JSONObject:
    """References replaced by copies of their targets; a recursive one keeps only the type of its target.

    So does one that would copy too much. One that leads nowhere allows anything.
    """
    return _Inliner(schema).inlined(schema, (id(schema),))


def plain_refs(schema: JSONObject) -> JSONObject:
    """References written as `#` or `#/$defs/NAME`, NAME made of letters, digits, `_` and `-`.

    What they mean is the same, recursion included. One that leads nowhere allows anything.
    """
    return schema if _all_plain(schema) else _Namer(schema).renamed()


class _Copies:
    """What one schema copies of itself."""

    def __init__(self, root: JSONObject) -> None:
        self.references = References(root)
        self._weights: dict[int, int] = {}
        self._left = MAX_COPIED

    def affords(self, target: JSONObject) -> bool:
        """Whether one more copy of `target` may be made; counts it."""
        weight = self._weights.get(id(target))
        if weight is None:
            weight = self._weights[id(target)] = weight_of(target, self._left)
        self._left -= weight
        return self._left >= 0


class _Inliner(_Copies):
    def inlined(self, schema: JSONObject, within: tuple[int, ...]) -> JSONObject:
        if any(keyword in schema for keyword in (*_DEFINITIONS, *_ANCHORS)):
            schema = _without(schema, *_DEFINITIONS, *_ANCHORS)
        schema = _static(schema)
        if "$ref" not in schema:
            return with_subschemas(schema, lambda below: self.inlined(below, within))
        beside = _without(schema, "$ref")
        target = self.references.target(schema["$ref"])
        if target is None:
            found = unresolved(schema["$ref"])
        elif id(target) in within or len(within) > MAX_WITHIN or not self.affords(target):
            found = _outline(target)
        else:
            found = self.inlined(target, (*within, id(target)))
        return {**found, **self.inlined(beside, within)} if beside else found


class _Namer(_Copies):
    """Moves each target under `$defs` of the root, under a name of its own."""

    def __init__(self, root: JSONObject) -> None:
        super().__init__(root)
        self._root = root
        self._names: dict[int, str] = {}
        self._used: dict[str, int] = {}
        self._waiting: list[JSONObject] = []
        self._defined = _definitions(root)

    def renamed(self) -> JSONObject:
        root = self._walked(self._root)
        definitions: JSONObject = {}
        while self._waiting:
            target = self._waiting.pop()
            definitions[self._names[id(target)]] = self._walked(target)
        return {**root, "$defs": definitions} if definitions else root

    def _walked(self, schema: JSONObject) -> JSONObject:
        if any(keyword in schema for keyword in (*_DEFINITIONS, *_ANCHORS)):
            schema = _without(schema, *_DEFINITIONS, *_ANCHORS)
        schema = _static(schema)
        if "$ref" in schema:
            schema = self._referring(schema)
        return with_subschemas(schema, self._walked)

    def _referring(self, schema: JSONObject) -> JSONObject:
        target = self.references.target(schema["$ref"])
        if target is self._root:
            return {**schema, "$ref": "#"}
        if target is None:
            return {**unresolved(schema["$ref"]), **_without(schema, "$ref")}
        name = self._names.get(id(target))
        if name is None:
            # a definition is moved; anything elsewhere stays there and is copied
            if id(target) not in self._defined and not self.affords(target):
                return {**_outline(target), **_without(schema, "$ref")}
            name = self._names[id(target)] = self._new_name(schema["$ref"])
            self._waiting.append(target)
        return {**schema, "$ref": f"#/$defs/{name}"}

    def _new_name(self, ref: str) -> str:
        last = unquote(ref.rsplit("/", 1)[-1].rsplit("#", 1)[-1])
        name = _NOT_PLAIN.sub("_", last[:64]).strip("_") or "definition"
        number = self._used[name] = self._used.get(name, 0) + 1
        while number > 1 and f"{name}_{number}" in self._used:
            number = self._used[name] = number + 1
        if number > 1:
            name = f"{name}_{number}"
            self._used[name] = 1
        return name


def weight_of(value: object, most: int) -> int:
    """The rough size of `value` as JSON in characters; counting stops above `most`."""
    weight = 0
    waiting = [value]
    while waiting and weight <= most:
        each = waiting.pop()
        weight += len(each) + 2 if type(each) is str else 4
        if type(each) is dict:
            weight += sum(map(len, each))
            waiting += each.values()
        elif type(each) is list:
            waiting += each
    return weight


def unresolved(ref: object) -> JSONObject:
    """The substitute for a reference to elsewhere: anything, with the reference in the description."""
    return noted({}, [f"$ref: {ref[:200]}"]) if type(ref) is str else {}


def _outline(target: JSONObject) -> JSONObject:
    """The type of `target`, where it can be told without following it."""
    kind = target.get("type")
    if type(kind) is str or type(kind) is list:
        return {"type": kind}
    return {"type": "object"} if "properties" in target else {}


def _pointed(start: JSONObject, fragment: str) -> JSONObject | None:
    """The target of a JSON Pointer: decoded by the RFCs, else as generators write it."""
    target = _followed(start, unquote(fragment).split("/")[1:])
    if target is None and "%" in fragment:
        steps = fragment.split("/")[1:]
        target = _followed(start, [unquote(step) for step in steps]) or _followed(start, steps)
    return target


def _followed(target: Any, steps: list[str]) -> JSONObject | None:
    for step in steps:
        key = step.replace("~1", "/").replace("~0", "~")
        if type(target) is list and key.isascii() and key.isdigit() and len(key) < 10:
            if int(key) >= len(target):
                return None
            target = target[int(key)]
        elif type(target) is dict and key in target:
            target = target[key]
        else:
            return None
    if type(target) is bool:
        return {} if target else {"not": {}}
    return target if type(target) is dict else None


def _all_plain(root: JSONObject) -> bool:
    references = References(root)
    waiting = [root]
    while waiting:
        schema = waiting.pop()
        if any(name in schema for name in _REFERENCES):
            ref = schema.get("$ref")
            if type(ref) is not str or not _PLAIN.match(ref) or references.target(ref) is None:
                return False
        waiting += subschemas(schema)
    return True


def _definitions(root: JSONObject) -> frozenset[int]:
    found: set[int] = set()
    waiting = [root]
    while waiting:
        schema = waiting.pop()
        for keyword in _DEFINITIONS:
            if type(schema.get(keyword)) is dict:
                found.update(map(id, schema[keyword].values()))
        waiting += subschemas(schema)
    return frozenset(found)


def _without(schema: JSONObject, *keywords: str) -> JSONObject:
    return {key: value for key, value in schema.items() if key not in keywords}
