"""make fuzz MINUTES=10: the properties of everything that reads what strangers send, for a while.

The suite runs each of them with some dozens of examples. Here they run in turns with hundreds of times as
many, each turn from another seed, until the time is over. What fails is printed with the example and stays in
.hypothesis, so the suite fails from then on.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence

# the clients' HTTP, the providers', events, JSON and the memory of it, answers of both protocols, requests,
# patterns and masking, the index
READERS = (
    "tests/server/test_api_connection.py",
    "tests/upstream/http1",
    "tests/wire",
    "tests/patterns",
    "tests/history/secrets",
    "tests/masking",
    "tests/history/search",
    "tests/conversion/errors",
    "tests/conversion/answers/test_stream_properties.py",
    "tests/conversion/openai_responses",
    "tests/conversion/requests/test_request_property.py",
    "tests/attacks/test_odd_requests.py",
)
PROFILE = "fuzz"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("what", nargs="*", default=READERS)
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.minutes * 60
    turns = 0
    while True:
        for what in options.what:
            left = deadline - time.monotonic()
            if left <= 0:
                print(f"{turns} turns, nothing found")
                return 0
            seed = random.randrange(2**32)
            command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "-p", "no:cacheprovider"]
            ran = subprocess.Popen(
                [*command, f"--hypothesis-seed={seed}", what],
                env={**os.environ, "HYPOTHESIS_PROFILE": PROFILE, "EXAMPLES": "100"},
            )
            try:
                code = ran.wait(left)
            except subprocess.TimeoutExpired:
                ran.terminate()
                ran.wait()
                continue
            if code not in (0, 5):
                print(f"found with --hypothesis-seed={seed} in {what}")
                return 1
            turns += 1


if __name__ == "__main__":
    sys.exit(main())
