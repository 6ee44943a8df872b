"""Where we lean on what libraries do not promise: few places, known by name, each seen with a version."""

import ast
from importlib.metadata import version

import pytest
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.db.models.deletion import Collector
from django.middleware.csrf import CsrfViewMiddleware
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol

from ccproxy_site import django_seam
from ccproxy_site.server import twisted_seam
from tests.test_architecture import SOURCES, named, trees

# names with an underscore that are public by their documentation
PUBLIC = {
    *("_meta", "_base_manager", "_default_manager", "_state"),  # Django's
    *("_replace", "_asdict", "_fields", "_make"),  # of named tuples
    "_exit",  # os
}
# private modules of Python: what its own parser makes of an expression
PRIVATE_MODULES = {"gateway/patterns/attacks.py": {"re._constants", "re._parser"}}
SEEN_WITH = {"twisted": "26.10", "django": "5.2", "daphne": "4.2"}


@pytest.mark.parametrize("library", SEEN_WITH)
def test_the_seams_were_seen_with_this_version(library):
    assert version(library).startswith(SEEN_WITH[library] + "."), "look at each seam below, then at SEEN_WITH"


def test_a_channel_of_twisted_keeps_the_request_line_as_we_read_it():
    channel = HTTPChannel()
    channel._command, channel._path, channel._version = b"POST", b"/v1/messages", b"HTTP/1.1"
    assert twisted_seam.request_line(channel) == (b"POST", b"/v1/messages", b"HTTP/1.1")
    # set by Twisted itself, from the first line
    names = {"_command", "_path", "_version"}
    assert names <= set(HTTPChannel.lineReceived.__code__.co_names) | set(
        HTTPChannel.allHeadersReceived.__code__.co_names
    )


def test_a_channel_of_twisted_keeps_what_waits_behind_a_request_as_we_count_it():
    channel = HTTPChannel()
    assert twisted_seam.bytes_ahead(channel) == 0
    channel._dataBuffer = [b"ab", b"c"]
    assert twisted_seam.bytes_ahead(channel) == 3
    assert twisted_seam.bytes_ahead(_GenericHTTPChannelProtocol(channel)) == 3
    assert "_dataBuffer" in HTTPChannel.rawDataReceived.__code__.co_names


def test_django_asks_a_handler_and_a_request_for_what_ours_give_it():
    # server/handler.py
    assert "_middleware_chain" in ASGIHandler.get_response_async.__code__.co_names
    # api/request.py
    used = {name for code in codes_of(ASGIRequest) for name in code.co_names}
    assert {"_read_started", "_post_parse_error"} <= used


def test_django_verifies_an_origin_as_we_ask_it_to(rf, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://ccproxy.example.org"]
    forms = CsrfViewMiddleware(lambda request: None)
    asked = [
        rf.get("/", HTTP_ORIGIN=origin) for origin in ("https://ccproxy.example.org", "https://evil.test")
    ]
    assert [django_seam.origin_verified(forms, one) for one in asked] == [True, False]


def codes_of(cls):
    return [
        part.__code__
        for base in cls.__mro__
        for value in vars(base).values()
        for part in (getattr(value, "fget", None), getattr(value, "func", None), value)
        if hasattr(part, "__code__")
    ]


def test_django_collects_what_a_deletion_takes_along_as_we_read_it():
    # models/base.py
    collector = Collector(using="default")
    assert (dict(collector.data), list(collector.fast_deletes)) == ({}, [])


def test_no_other_private_name_of_a_library_is_used():
    """A name with an underscore belongs to the object's own class or module, which is in the same file."""
    found = []
    for path in SOURCES:
        if path.name.endswith("_seam.py"):
            continue
        own = own_names(trees()[path])
        for node in ast.walk(trees()[path]):
            match node:
                case ast.Attribute(value=ast.Name(id="self" | "cls")):
                    continue
                case ast.Attribute(attr=name) if is_private(name) and name not in PUBLIC | own:
                    found.append(f"{named(path)}:{node.lineno} {name}")
                case ast.Import(names=aliases):
                    modules = {alias.name for alias in aliases if is_private(alias.name.rpartition(".")[2])}
                    found += modules - PRIVATE_MODULES.get(named(path), set())
                case ast.ImportFrom(module=str(module), names=aliases, level=0):
                    private = [one.name for one in aliases if is_private(one.name)]
                    found += [f"{named(path)}:{node.lineno} {module}.{name}" for name in private]
    assert found == []


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def own_names(tree):
    """What the file itself defines or sets on its own objects."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Constant(value=str(name)):
                # __slots__
                names.add(name)
    return names
