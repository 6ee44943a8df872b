"""First start: write SECRET_KEY and FIELD_ENCRYPTION_KEYS into .env if they are set nowhere.

    python -m ccproxy_site.first_secrets

Runs before Django reads its settings. Existing lines are never touched.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from ccproxy_site import env_file
from ccproxy_site.places import ENV_FILE

HEADER: Final = (
    "# Made at the first start. Keep them: without them sessions end and stored credentials are lost.\n"
)


def missing() -> dict[str, str]:
    """The secrets that neither .env nor the environment sets, newly made."""
    made = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        # the form of a Fernet key
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }
    set_in_file = env_file.names(ENV_FILE)
    return {
        name: value
        for name, value in made.items()
        if name not in set_in_file
        and f"{name}_FILE" not in set_in_file
        and not os.environ.get(name)
        and not os.environ.get(f"{name}_FILE")
    }


def keep_from_others(path: Path) -> None:
    """Remove a file's permissions for everybody but its owner, when everybody had some.

    A file readable by its group and nobody else was made so on purpose. What is no file, such as
    /dev/null, belongs to everybody and stays as it is.
    """
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & 0o007:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def main() -> None:
    keep_from_others(ENV_FILE)
    text = ENV_FILE.read_text("utf-8-sig") if ENV_FILE.is_file() else ""
    lines = [f"{name}={value}\n" for name, value in missing().items()]
    if not lines:
        return
    if not ENV_FILE.exists():
        ENV_FILE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # nobody else may read it, from its first byte on
        ENV_FILE.touch(mode=0o600)
    with ENV_FILE.open("a", encoding="utf-8") as file:
        file.write(("" if not text or text.endswith("\n") else "\n") + HEADER + "".join(lines))


if __name__ == "__main__":
    main()
