#!/usr/bin/env python
"""Django's command line."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older one reads
    sys.exit("ccproxy needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

try:
    from ccproxy_site.command_line import main
except ModuleNotFoundError as problem:
    if (problem.name or "").startswith(("ccproxy_site", "gateway")):
        raise
    sys.exit(
        f"The package {problem.name} is missing in {sys.executable}. "
        f"Install what ccproxy needs: {sys.executable} -m pip install -r requirements.txt"
    )

if __name__ == "__main__":
    main()
