"""Settings of the test suite: known secrets, a database of its own, nothing from .env."""

import os
import tempfile
from pathlib import Path

os.environ["CCPROXY_ENV_FILE"] = os.devnull
_data = Path(tempfile.mkdtemp(prefix="ccproxy-tests-"))
os.environ["DATA_DIR"] = str(_data)
# `python -m chaos.engines` gives servers for the run; the developer's own are never touched
for _name in ("DATABASE_URL", "REDIS_URL"):
    os.environ[_name] = os.environ.get(f"ENGINES_{_name}", "")
if os.environ["REDIS_URL"]:
    # each worker has a store of its own: what one clears the others keep
    _worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{1 + int(_worker)}"
for _name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "BIG_MODEL", "HOST", "PORT"):
    os.environ.pop(_name, None)

from ccproxy_site.settings import *  # noqa: E402, F403

SECRET_KEY = "tests-only"
GATEWAY = {
    **GATEWAY,  # noqa: F405
    "field_encryption_keys": ("dGVzdHMtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE=",),
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
