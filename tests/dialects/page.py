"""The generated parts of docs/providers.md: a section for each preset, and what was tested with it.

python -m tests.dialects.page          run the conversation at every endpoint, print the parts
python -m tests.dialects.page --write  and put them into docs/providers.md
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

# what follows needs the apps to be loaded
from gateway.config.presets.presets import Alternative, Preset, presets  # noqa: E402
from gateway.config.presets.recognise import recognised  # noqa: E402
from tests.conftest import at_a_bench  # noqa: E402
from tests.dialects.runs import CAPABILITIES, all_shown  # noqa: E402
from tests.dialects.services import chat_services  # noqa: E402

PAGE: Final = Path(__file__).parents[2] / "docs" / "providers.md"
TABLE: Final = ("<!-- table: made by python -m tests.dialects.page --write -->", "<!-- end of the table -->")
SECTIONS: Final = (
    "<!-- sections: made by python -m tests.dialects.page --write -->",
    "<!-- end of the sections -->",
)
PROTOCOLS: Final = {
    "chat": "Chat Completions",
    "responses": "Responses",
    "anthropic": "Messages (native)",
}
API: Final = {"responses": "Responses", "anthropic": "Messages"}
AUTH: Final = {
    "bearer": "`Authorization: Bearer`",
    "x-api-key": "header `x-api-key`",
    "api-key": "header `api-key`",
    "none": "no key",
}


def table(results: Mapping[tuple[str, str], set[str]]) -> str:
    head = ["Provider", "Protocol", *CAPABILITIES]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for known in _active():
        for protocol in dict.fromkeys((known.protocol, *(other.protocol for other in known.alternatives))):
            found = results[known.slug, protocol]
            cells = ["tested" if name in found else "-" for name in CAPABILITIES]
            lines.append(f"| {known.label} | {PROTOCOLS[protocol]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sections() -> str:
    return "\n\n".join("\n".join(_section(known)) for known in presets().values())


def _active() -> list[Preset]:
    return [known for known in presets().values() if not known.retired]


def _section(known: Preset) -> Iterator[str]:
    yield f"### {known.label}"
    yield ""
    if known.retired:
        yield f"{known.note} It is not offered; who enters its URL is told so."
        return
    if known.note:
        yield f"{known.note}"
        yield ""
    yield (
        f"- In the admin: preset *{known.label}*"
        + (f", base URL `{known.base_url}`" if known.base_url else ", and the base URL of the server")
        + (f" with {_named(known.url_params)} filled in" if known.url_params else "")
        + "."
    )
    yield f"- In `.env`: {_environment(known)}"
    for endpoint in (known.own, *known.alternatives):
        yield f"- {_endpoint(known, endpoint)}"
    if known.query:
        yield f"- Query: `{json.dumps(known.query)}`."
    if known.options:
        yield "- The preset sets " + ", ".join(f"`{n}`" for n in known.options) + "."
    if known.model_rules:
        changed = dict.fromkeys(name for rule in known.model_rules for name in rule.options)
        yield "- By model it also sets " + ", ".join(f"`{name}`" for name in changed) + "."
    yield f"- Tested: {_tested(known)}"
    if known.verified:
        yield f"- Facts from: {known.verified}."
    if known.docs:
        yield f"- [Documentation of the service]({known.docs})"


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _environment(known: Preset) -> str:
    parts = [f"OPENAI_BASE_URL={known.base_url or 'http://SERVER/v1'}"]
    if known.slug == "openai-chat":
        parts[0] += "/chat/completions"
    if known.slug == "generic-anthropic":
        parts[0] = "OPENAI_BASE_URL=http://SERVER/v1/messages"
    if known.needs_key:
        parts.append("OPENAI_API_KEY=...")
    if known.query:
        parts.append("AZURE_API_VERSION=" + known.query["api-version"])
    models = known.default_models or {"big": "MODEL", "middle": "MODEL", "small": "MODEL"}
    parts += [f"{size.upper()}_MODEL={model}" for size, model in models.items()]
    text = ", ".join(f"`{part}`" for part in parts) + "."
    found = (
        recognised(parts[0].partition("=")[2]).preset if known.base_url and not known.url_params else known
    )
    if found.slug != known.slug:
        text += f" The address alone says *{found.label}*: for this preset add the provider in the admin."
    return text


def _endpoint(known: Preset, endpoint: Alternative) -> str:
    where = f" at `{endpoint.base_url}`" if endpoint.base_url else ""
    text = f"{PROTOCOLS[endpoint.protocol]}{where}, {AUTH[endpoint.auth]}"
    if endpoint.protocol == known.recommended:
        text += "; recommended"
    if endpoint.count_tokens:
        text += "; counts tokens itself"
    if endpoint.protocol == "anthropic" and endpoint.base_url and not urlsplit(endpoint.base_url).path:
        text += f"; in `.env` `OPENAI_BASE_URL={endpoint.base_url}/v1/messages`"
    return text + (f"; {endpoint.note}" if endpoint.note else "") + "."


def _tested(known: Preset) -> str:
    models = [model for slug, model in chat_services() if slug == known.slug]
    asked = ", ".join(f"`{model}`" for model in models)
    others = {known.protocol, *(other.protocol for other in known.alternatives)} - {"chat"}
    live = "live with llama.cpp's server in each of its protocols; " if known.slug == "llama-cpp" else ""
    ways = [f"a strict fake of the service, for {asked}"] if models else []
    ways += [f"a strict server of the {API[protocol]} API" for protocol in sorted(others, reverse=True)]
    return f"{live}the conversation with {'; with '.join(ways)}."


async def run() -> dict[tuple[str, str], set[str]]:
    async with at_a_bench() as bench:
        return await all_shown(bench)


def put(page: str, marks: tuple[str, str], made: str) -> str:
    before, _, rest = page.partition(marks[0])
    return f"{before}{marks[0]}\n\n{made}\n\n{marks[1]}{rest.partition(marks[1])[2]}"


def between(page: str, marks: tuple[str, str]) -> str:
    return page.partition(marks[0])[2].partition(marks[1])[0].strip()


def main() -> None:
    made = table(asyncio.run(run()))
    if "--write" in sys.argv:
        page = PAGE.read_text()
        PAGE.write_text(put(put(page, TABLE, made), SECTIONS, sections()))
    else:
        print(made, sections(), sep="\n\n")


if __name__ == "__main__":
    main()
