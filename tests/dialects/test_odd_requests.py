"""Tools, names, images, files and budgets of clients, in the form that each service takes."""

from __future__ import annotations

import json
import re

import pytest

from gateway.config.presets.presets import preset
from tests.conversion.converting import (
    IMAGE,
    assistant,
    call,
    convert,
    refusal_of,
    request_of,
    result,
    text,
    user,
)
from tests.conversion.schema_judges import gemini_refuses, llama_cpp_refuses, mfjs_refuses, openai_refuses

JUDGES = {
    "gemini": gemini_refuses,
    "vertex": gemini_refuses,
    "moonshot": mfjs_refuses,
    "kimi-code": mfjs_refuses,
    "openai": openai_refuses,
    "openai-chat": openai_refuses,
    "azure-v1": openai_refuses,
    "azure-deployment": openai_refuses,
    "sglang": openai_refuses,
    "llama-cpp": llama_cpp_refuses,
}


def of(**properties):
    return {"type": "object", "properties": properties}


def sent(slug, request, **options):
    chosen = preset(slug)
    return convert(request, {"protocol": chosen.protocol, **chosen.options, **options}).body


def tool(name="t", schema=None):
    return {"name": name, "description": "d", "input_schema": schema or of(q={"type": "string"})}


def function(body):
    [made] = body["tools"]
    return made.get("function", made)


DEFINED = {"P": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}
TREE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}, "v": {"type": "string"}}}
# as generators of schemas and servers of the Model Context Protocol publish them
SCHEMAS = {
    "a constant": of(p={"const": "x"}, q={"type": "integer", "const": 3}),
    "an enum of numbers": of(p={"type": "integer", "enum": [1, 2]}, q={"enum": [1, 2.5]}),
    "an enum with null": of(p={"type": ["string", "null"], "enum": ["a", None]}),
    "an enum of nothing": of(p={"type": "string", "enum": []}, q={"type": "string", "enum": [""]}),
    "an enum that repeats": of(p={"type": "string", "enum": ["a", "a"]}),
    "formats": of(p={"type": "string", "format": "uri"}, q={"type": "integer", "format": "int64"}),
    "free keys": of(p={"type": "object", "additionalProperties": {"type": "string"}}, q={"type": "object"}),
    "keys by pattern": of(p={"type": "object", "patternProperties": {"^x": {"type": "string"}}}),
    "names of keys": of(p={"type": "object", "propertyNames": {"pattern": "^x"}}),
    "a tuple": of(
        p={"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False}
    ),
    "a tuple of an older draft": of(p={"type": "array", "items": [{"type": "string"}, {"type": "number"}]}),
    "a list of anything": of(
        p={"type": "array", "items": {}}, q={"type": "array"}, r={"type": ["array", "null"]}
    ),
    "a list of lists": of(p={"type": "array", "items": {"type": "array"}}),
    "a reference": {**of(p={"$ref": "#/$defs/P", "description": "d"}), "$defs": DEFINED},
    "a reference in allOf": {**of(p={"allOf": [{"$ref": "#/$defs/P"}], "default": None}), "$defs": DEFINED},
    "recursion": {**of(p={"$ref": "#/$defs/N"}), "$defs": {"N": TREE}},
    "recursion by two": {
        **of(p={"$ref": "#/$defs/A"}),
        "$defs": {"A": of(b={"$ref": "#/$defs/B"}), "B": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
    },
    "a reference to itself": {**of(p={"$ref": "#/$defs/A"}), "$defs": {"A": {"$ref": "#/$defs/A"}}},
    "a reference with a blank": {**of(p={"$ref": "#/$defs/a%20b"}), "$defs": {"a b": {"type": "string"}}},
    "a reference with a slash": {**of(p={"$ref": "#/$defs/a~1b"}), "$defs": {"a/b": {"type": "string"}}},
    "a generic name": {**of(p={"$ref": "#/$defs/L<I>"}), "$defs": {"L<I>": {"type": "array"}}},
    "an encoded name": {**of(p={"$ref": "#/$defs/L%3CI%3E"}), "$defs": {"L<I>": {"type": "array"}}},
    "a Chinese name": {**of(p={"$ref": "#/$defs/%E4%BD%A0"}), "$defs": {"\u4f60": {"type": "boolean"}}},
    "an anchor": {**of(p={"$ref": "#n"}), "$defs": {"x": {"$anchor": "n", "type": "integer"}}},
    "a reference to a property": of(a={"type": "string"}, b={"$ref": "#/properties/a"}),
    "a reference to the root": of(a={"$ref": "#"}),
    "a reference to a branch": of(a={"anyOf": [{"type": "string"}]}, b={"$ref": "#/properties/a/anyOf/0"}),
    "a reference to components": {
        **of(a={"$ref": "#/components/Q"}),
        "components": {"Q": {"type": "string"}},
    },
    "a reference to nowhere": of(a={"$ref": "#/$defs/none"}, b={"$ref": "Q"}, c={"$ref": None}),
    "a discriminator": of(
        p={"oneOf": [of(k={"const": "a"}), of(k={"const": "b"})], "discriminator": {"propertyName": "k"}}
    ),
    "types of Java and Python": of(
        p={"type": "STRING"}, q={"type": "int"}, r={"type": "list"}, s={"type": "any"}
    ),
    "an older draft": of(
        p={"type": "number", "minimum": 0, "exclusiveMinimum": True}, q={"type": "string", "required": True}
    ),
    "nulls": of(
        p={"type": "string", "enum": None, "description": None, "items": None, "anyOf": None, "pattern": None}
    ),
    "conditions": of(
        p={"type": "object", "if": {}, "then": {}, "dependentRequired": {"a": ["b"]}, "not": {}}
    ),
    "names that are keywords": of(
        type={"type": "string"}, items={"type": "array"}, required={"type": "object"}
    ),
    "no type": of(p={"description": "any value"}, q={}, r=True, s={"properties": {"a": {"type": "string"}}}),
    "alternatives within": of(
        p={"anyOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "integer"}]}
    ),
    "patterns": of(
        **{
            f"p{number}": {"type": "string", "pattern": pattern}
            for number, pattern in enumerate(
                [
                    "\\d+",
                    "^\\S+$",
                    "^a|b$",
                    "(?i)x",
                    "^(?!x).*$",
                    "^[^\\s]+$",
                    "^\\p{L}$",
                    "[a",
                    "",
                    "^a{1,5000}$",
                ]
            )
        }
    ),
    "lengths": of(
        p={"type": "string", "maxLength": 65535}, q={"type": "array", "maxItems": 100000, "items": {}}
    ),
}


@pytest.mark.parametrize("slug", JUDGES)
def test_a_published_schema_comes_as_the_service_takes_it(slug):
    for name, schema in SCHEMAS.items():
        made = function(sent(slug, request_of("hi", tools=[tool(schema=schema)])))["parameters"]
        assert list(JUDGES[slug](made)) == [], name


NAMES = [
    "21st_magic_component_builder",
    "9router__ask",
    "-dash",
    "--",
    "9",
    "a.b",
    "mcp__srv__tool.name",
    "a b",
    "a/b",
    "a:b",
    "\u540d\u524d",
    "\u00e9",
    "x" * 65,
    "1" * 70,
    "$ref",
    "_x",
    "A-1",
]


@pytest.mark.parametrize(
    "slug", ["gemini", "vertex", "moonshot", "kimi-code", "openai", "mistral", "generic"]
)
def test_a_tool_has_one_legal_name_in_the_tools_the_choice_and_the_history(slug):
    letter_first = slug in ("gemini", "vertex", "moonshot", "kimi-code")
    legal = "[A-Za-z_][A-Za-z0-9_-]{0,63}" if letter_first else "[A-Za-z0-9_-]{1,64}"
    every = set()
    for name in NAMES:
        history = [user("hi"), assistant(call("t1", name)), user(result("t1", "ok"))]
        choice = {"type": "tool", "name": name}
        body = sent(slug, request_of(*history, tools=[tool(name)], tool_choice=choice))
        names = {function(body)["name"]}
        names |= {
            each["function"]["name"] for m in body.get("messages", ()) for each in m.get("tool_calls", ())
        }
        names |= {item["name"] for item in body.get("input", ()) if item.get("type") == "function_call"}
        if isinstance(body.get("tool_choice"), dict) and "tools" not in body["tool_choice"]:
            names.add(body["tool_choice"].get("function", body["tool_choice"])["name"])
        assert len(names) == 1
        assert re.fullmatch(legal, *names)
        every |= names
    assert len(every) == len(NAMES)


@pytest.mark.parametrize(
    ("slug", "content"),
    [
        ("lm-studio", ""),
        ("ollama", ""),
        ("openai-chat", None),
        ("bedrock", None),
        ("vllm", None),
        ("deepseek", None),
    ],
)
def test_a_call_without_text_has_the_content_that_the_service_takes(slug, content):
    for blocks in ((call("t1"),), (text("\n"), call("t1")), (text(""), call("t1"))):
        body = sent(
            slug, request_of(user("hi"), assistant(*blocks), user(result("t1", "ok")), tools=[tool()])
        )
        assert body["messages"][1]["content"] == content
    body = sent(slug, request_of(user("hi"), assistant(text("x"), call("t1")), user(result("t1", "ok"))))
    assert body["messages"][1]["content"] == "x"


@pytest.mark.parametrize(
    "slug", ["openai-chat", "openai", "generic", "deepseek", "openrouter", "gemini", "zai"]
)
@pytest.mark.parametrize("budget", [1024, 4000, 4001, 16_000, 31_999, 10**9])
def test_with_tools_a_budget_of_thinking_may_be_larger_than_max_tokens(slug, budget):
    thinking = {"type": "enabled", "budget_tokens": budget}
    body = sent(slug, request_of("hi", max_tokens=4000, tools=[tool()], thinking=thinking))
    assert body["model"]
    asked = json.dumps(body)
    assert f'"{budget}"' not in asked
    for limit in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        assert body.get(limit, 4000) >= 1


@pytest.mark.parametrize("budget", [1023, 0, -1, "x"])
def test_a_budget_that_no_model_has_is_refused_as_by_the_api(budget):
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert "budget_tokens" in refusal_of(request_of("hi", max_tokens=4000, thinking=thinking))


PDF = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyPDw+PgolJUVPRg=="


@pytest.mark.parametrize("slug", ["openai", "openai-chat"])
@pytest.mark.parametrize(
    "title",
    [
        None,
        "",
        "report",
        "report.PDF",
        "report.pdf",
        "\u62a5\u544a",
        "a/b",
        "x" * 300,
        "report.docx",
        "r.pdf.txt",
    ],
)
def test_a_file_has_a_name_that_ends_in_pdf(slug, title):
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    document = {"type": "document", "source": source, **({} if title is None else {"title": title})}
    body = sent(slug, request_of(user(document, "what?")), pdf="file")
    [part, _] = body.get("messages", body.get("input"))[0]["content"]
    name = part.get("file", part)["filename"]
    assert name.lower().endswith(".pdf")
    assert name.startswith(title or "document")


WEBP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
GIF = "R0lGODlhAQABAAAAACwAAAAAAQABAAA="


@pytest.mark.parametrize(
    ("slug", "data", "media_type", "taken"),
    [
        ("llama-cpp", WEBP, "image/webp", False),
        ("xai", WEBP, "image/webp", False),
        ("xai", GIF, "image/gif", False),
        ("gemini", GIF, "image/gif", False),
        ("vertex", GIF, "image/gif", False),
        ("gemini", WEBP, "image/webp", True),
        ("llama-cpp", GIF, "image/gif", True),
        ("openai", WEBP, "image/webp", True),
        ("llama-cpp", WEBP, "image/png", False),
    ],
)
def test_an_image_that_the_service_cannot_read_is_a_note(slug, data, media_type, taken):
    image = {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    history = [user("hi"), assistant(call("t1")), user(result("t1", [image]))]
    for request in (request_of(user(image, "what?")), request_of(*history, tools=[tool()])):
        asked = json.dumps(sent(slug, request))
        assert (data in asked) is taken
        assert ("[image omitted: the provider cannot read" in asked) is not taken
    assert IMAGE["source"]["data"] in json.dumps(sent(slug, request_of(user(IMAGE, "what?"))))
