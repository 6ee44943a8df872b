"""Strategies for JSON Schemas, and for values that are valid against them."""

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "$ref", "type", "default", "*"])
TEXTS = st.sampled_from(["", "x", "some words", "é"])
_SCALARS = ["string", "integer", "number", "boolean", "null"]


def _closed(keywords):
    return st.fixed_dictionaries({}, optional=keywords)


def _leaf():
    kinds = st.sampled_from(_SCALARS)
    return st.one_of(
        st.fixed_dictionaries(
            {
                "type": kinds
                | st.lists(st.sampled_from([*_SCALARS, "array", "object"]), min_size=1, unique=True)
            },
            optional={
                "description": TEXTS,
                "default": TEXTS,
                "format": st.sampled_from(["uri", "date-time"]),
            },
        ),
        st.fixed_dictionaries(
            {"enum": st.lists(TEXTS | st.integers(0, 3) | st.none(), min_size=1, unique=True)}
        ),
        st.fixed_dictionaries({"const": TEXTS | st.integers(0, 3) | st.booleans()}),
        st.just({}),
        st.sampled_from(["one", "two", "self"]).map(lambda name: {"$ref": f"#/$defs/{name}"}),
    )


def _object(below):
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, below, max_size=3)},
        optional={
            "required": st.lists(NAMES, unique=True, max_size=3),
            "additionalProperties": st.booleans() | below,
            "patternProperties": st.dictionaries(st.just("^x"), below, max_size=1),
            "description": TEXTS,
            "minProperties": st.integers(0, 1),
        },
    )


def _tree(below):
    return st.one_of(
        _object(below),
        st.fixed_dictionaries(
            {"type": st.just("array")}, optional={"items": below, "uniqueItems": st.booleans()}
        ),
        st.fixed_dictionaries(
            {"anyOf": st.lists(below, min_size=1, max_size=2)}, optional={"description": TEXTS}
        ),
        st.fixed_dictionaries({"oneOf": st.lists(below, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(below, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": below}),
    )


_ANY = st.recursive(_leaf(), _tree, max_leaves=8)


@st.composite
def schemas(draw, *, objects=False):
    """Valid schemas of draft 2020-12, references and recursion included; `objects`: the root is one."""
    root = draw(_object(_ANY) if objects else _ANY)
    definitions = {
        "one": draw(_ANY),
        "two": draw(_object(_ANY)),
        "self": {"type": "object", "properties": {"next": {"$ref": "#/$defs/self"}}},
    }
    return {**root, "$defs": definitions}


@st.composite
def plain_schemas(draw, depth=2):
    """(schema, value): the value is valid and may lack what is optional."""
    kind = draw(
        st.sampled_from(["text", "number", "enum", "nullable", "object", "list"] if depth else ["text"])
    )
    if kind == "text":
        return {"type": "string"}, draw(TEXTS)
    if kind == "number":
        return {"type": ["integer", "string"]}, draw(st.integers(0, 9))
    if kind == "enum":
        return {"type": "string", "enum": ["p", "q"]}, draw(st.sampled_from(["p", "q"]))
    if kind == "nullable":
        return {"type": ["string", "null"]}, draw(st.none() | TEXTS)
    if kind == "list":
        schema, value = draw(plain_schemas(depth - 1))
        return {"type": "array", "items": schema}, [value] * draw(st.integers(0, 2))
    return draw(plain_objects(depth - 1))


@st.composite
def plain_objects(draw, depth=2):
    """The same with an object at the root."""
    below = draw(st.dictionaries(st.sampled_from("abcd"), plain_schemas(depth), max_size=3))
    required = [name for name in below if draw(st.booleans())]
    value = {name: below[name][1] for name in below if name in required or draw(st.booleans())}
    properties = {name: schema for name, (schema, _) in below.items()}
    return {"type": "object", "properties": properties, "required": required}, value


_KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "required",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "enum",
        "const",
        "$ref",
        "$defs",
        "items",
        "prefixItems",
        "additionalProperties",
        "description",
        "format",
        "default",
        "patternProperties",
        "title",
    ]
)
_WORDS = st.sampled_from(
    ["object", "string", "array", "null", "#", "#/$defs/a", "#/anyOf/0", "x", None, True, False, 0, 1.5]
)
_NONSENSE = st.recursive(
    _WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEYWORDS, below, max_size=4),
    max_leaves=12,
)


def nonsense():
    """Objects that only look like schemas, as clients may send them."""
    return st.dictionaries(_KEYWORDS, _NONSENSE, max_size=5)


_ALL_KEYWORDS = [
    *("type", "enum", "const", "required", "dependentRequired", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "title", "description"),
    *("default", "deprecated", "readOnly", "writeOnly", "examples", "format", "contentEncoding", "$ref"),
    *("contentMediaType", "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "x-order", "nullable"),
]
_HOLD_SCHEMAS = [
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema", "additionalItems"),
]
_HOLD_LISTS = ["anyOf", "oneOf", "allOf", "prefixItems", "items"]
_HOLD_MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]
_LISTS_OF_NAMES = st.lists(st.sampled_from(["a", "b"]), max_size=2)
_VALUES = st.one_of(
    st.sampled_from(["object", "string", "STRING", "int", "any", "#", "#/$defs/a", "^\\p{L}$", "[a", ""]),
    st.lists(st.sampled_from(["a", "b", "string", "null", None, 1, True]), max_size=3),
    st.none() | st.booleans() | st.integers(-1, 3) | st.just(1.5),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.lists(st.sampled_from(["a", "b"]), max_size=2), max_size=2
    ),
)


def _with_any_keyword(below):
    either = below | _VALUES
    return st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(_ALL_KEYWORDS, _VALUES),
            **dict.fromkeys(_HOLD_SCHEMAS, either),
            **{name: st.lists(either, max_size=2) | either for name in _HOLD_LISTS},
            **{
                name: st.dictionaries(st.sampled_from(["a", "b", "^x"]), either, max_size=2) | _VALUES
                for name in _HOLD_MAPS
            },
        },
    )


def every_keyword():
    """Schemas of all keywords, references and recursion, each with values that it may and may not have."""
    return st.recursive(
        st.dictionaries(st.sampled_from(_ALL_KEYWORDS), _VALUES, max_size=4), _with_any_keyword, max_leaves=4
    )
