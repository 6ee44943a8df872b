"""The text of .env.example, from the declarations of the variables.

python -m ccproxy_site.env_example > .env.example
"""

from __future__ import annotations

import sys
import textwrap
from typing import Final

from ccproxy_site.environment import GROUPS, VARIABLES
from gateway.conf import LIMITS

_WIDTH: Final = 112
_HEAD: Final = (
    "Every variable of ccproxy, with its default. Copy what you need into a file named .env.",
    "Quotes, comments behind a value, blanks around =, export and ${NAME} are read as python-dotenv reads "
    "them.",
    "Secrets can also be read from a file: NAME_FILE=/path instead of NAME=value.",
)
_HEADERS: Final = "Extra headers to the provider: CUSTOM_HEADER_X_API_KEY=value becomes X-API-KEY: value."


def example() -> str:
    """The whole file."""
    lines = [f"# {line}" for line in _HEAD]
    for group in GROUPS:
        lines += ["", f"# --- {group.title} ---"]
        for variable in VARIABLES.values():
            if variable.group == group.title:
                lines += [*_comment(variable.meaning), f"{variable.name}={variable.written()}"]
        if group is LIMITS:
            lines += [*_comment(_HEADERS), "# CUSTOM_HEADER_NAME=value"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    wrap = textwrap.TextWrapper(
        _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
    return wrap.wrap(text)


if __name__ == "__main__":
    sys.stdout.write(example())
