"""How many values in public signatures have no type: a number for each package, which may only fall.

`Any` and `JSONObject` (a dictionary of anything) switch the type checker off for whoever uses the value. They
are right where a value may be any JSON: a tool's schema, its arguments, the fields of a provider's body that
an admin made up. Everything else has a dataclass or a TypedDict (`gateway.wire.messages` and
`messages_request`), or is an `object` that its reader looks at first.
"""

from __future__ import annotations

import ast
import collections
from collections.abc import Iterator
from pathlib import Path

GATEWAY = Path(__file__).parent.parent / "gateway"
UNTYPED = {"Any", "JSONObject"}
# after a change that lowers a count, lower the bound; the admin, its commands and models are Django's
MOST = {
    "app": 0,
    "client_protocol": 15,
    "conversion": 98,
    "evaluation": 14,
    "history": 57,
    "limits": 0,
    "masking": 0,
    "pricing": 0,
    "relay": 5,
    "routing": 24,
    "safeguards": 2,
    "telemetry": 0,
    "upstream": 5,
    "watch": 4,
    "wire": 26,
}


def untyped(tree: ast.Module) -> Iterator[str]:
    """The public functions, methods and fields of a module, each as often as its signature says nothing."""

    def of(annotation: ast.expr | None, name: str) -> Iterator[str]:
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Name) and node.id in UNTYPED:
                yield name

    def of_body(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node.name):
                arguments = node.args
                for argument in (
                    *arguments.posonlyargs,
                    *arguments.args,
                    *arguments.kwonlyargs,
                    *filter(None, (arguments.vararg, arguments.kwarg)),
                ):
                    yield from of(argument.annotation, prefix + node.name)
                yield from of(node.returns, prefix + node.name)
            elif isinstance(node, ast.ClassDef) and is_public(node.name):
                yield from of_body(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.AnnAssign) and is_public(name := ast.unparse(node.target)):
                yield from of(node.annotation, prefix + name)

    yield from of_body(tree.body, "")


def is_public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("__")


def test_no_package_says_less_of_its_values_than_before():
    found: dict[str, list[str]] = collections.defaultdict(list)
    for path in sorted(GATEWAY.rglob("*.py")):
        package = path.relative_to(GATEWAY).parts[0]
        if package in MOST:
            module = str(path.relative_to(GATEWAY))
            found[package] += [f"{module}: {name}" for name in untyped(ast.parse(path.read_text()))]
    worse = {name: places for name, places in found.items() if len(places) > MOST[name]}
    counts = {name: (len(places), "of at most", MOST[name]) for name, places in worse.items()}
    assert not worse, f"{counts}: give the value a type, or an object that its reader looks at\n{worse}"


def test_every_kind_of_public_place_is_counted():
    source = """
number: Any
_hidden: Any
def one(a: Any, *b: Any, c: dict[str, Any] = {}, **d: JSONObject) -> Any: ...
def _two(a: Any) -> Any: ...
class Three:
    field: list[Any]
    _own: Any
    def __init__(self, a: Any) -> None: ...
    async def four(self) -> Any: ...
class _Five:
    field: Any
"""
    expected = ["number", *["one"] * 5, "Three.field", "Three.__init__", "Three.four"]
    assert list(untyped(ast.parse(source))) == expected
