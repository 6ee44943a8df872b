"""Ask a gateway with texts of several kinds, so that `manage.py tokenerror` has something to compare.

    python -m bench.token_error --base-url http://127.0.0.1:8082 --model MODEL --requests 120
    python -m bench.token_error ... --seed 2 --kinds english,code,json,listing

Each request is small (about 20 to 600 tokens of prompt), a conversation of one to five
messages, some with a system prompt and tools; the answer is one token.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
KINDS = ("english", "code", "json", "russian", "chinese", "german", "listing")


def texts() -> dict[str, str]:
    """A long text of each kind, from what is installed here."""
    django = Path(str(resources.files("django")))
    return {
        "english": (ROOT / "docs" / "architecture.md").read_text() + (ROOT / "README.md").read_text(),
        "code": "".join(path.read_text() for path in sorted((ROOT / "gateway" / "conversion").glob("*.py"))),
        "json": "".join(
            path.read_text()
            for path in sorted((ROOT / "gateway" / "config" / "known_providers").glob("*.json"))
        ),
        "russian": _translated(django, "ru"),
        "chinese": _translated(django, "zh_Hans"),
        "german": _translated(django, "de"),
        "listing": "\n".join(
            f"-rw-r--r-- 1 dev dev {path.stat().st_size:>8} Nov 25 16:{number % 60:02} {path}"
            for number, path in enumerate(sorted((ROOT / "gateway").rglob("*.py")))
        ),
    }


def _translated(django: Path, language: str) -> str:
    source = (django / "conf" / "locale" / language / "LC_MESSAGES" / "django.po").read_text("utf-8")
    return " ".join(re.findall(r'^msgstr "(.+)"', source, flags=re.MULTILINE))


def requests(model: str, count: int, seed: int, kinds: Sequence[str] = KINDS) -> Iterator[dict[str, Any]]:
    """Messages requests of texts of these kinds, the same for the same seed."""
    chance = random.Random(seed)
    known = texts()
    tools = [
        {
            "name": name,
            "description": known["english"][number * 90 :][:120],
            "input_schema": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Where"},
                    "limit": {"type": "integer"},
                },
                "required": ["path"],
            },
        }
        for number, name in enumerate(("Read", "Write", "Glob", "Search"))
    ]
    for _ in range(count):
        messages = [
            {"role": ("user", "assistant")[number % 2], "content": _piece(chance, known, kinds)}
            for number in range(chance.choice((1, 1, 1, 3, 5)))
        ]
        yield {
            "model": model,
            "max_tokens": 1,
            "messages": messages,
            **({"system": _piece(chance, known, ("english",))} if chance.random() < 0.5 else {}),
            **({"tools": tools[: chance.randint(1, 4)]} if chance.random() < 0.25 else {}),
        }


def _piece(chance: random.Random, known: dict[str, str], kinds: Sequence[str]) -> str:
    text = known[chance.choice(kinds)]
    length = int(chance.triangular(30, 500, 120))
    start = chance.randrange(max(1, len(text) - length))
    return text[start : start + length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8082")
    parser.add_argument("--api-key", default="anything")
    parser.add_argument("--model", required=True)
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS), help="of texts, with commas between")
    given = parser.parse_args()
    answered = 0
    with httpx.Client(timeout=300, headers={"x-api-key": given.api_key}) as client:
        for request in requests(given.model, given.requests, given.seed, given.kinds.split(",")):
            reply = client.post(f"{given.base_url}/v1/messages", content=json.dumps(request))
            answered += reply.is_success
    print(f"{answered} of {given.requests} answered; now: manage.py tokenerror --model {given.model}")


if __name__ == "__main__":
    main()
