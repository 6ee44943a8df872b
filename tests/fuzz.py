"""make fuzz MINUTES=10: the properties of everything that reads what strangers send, for a while.

The suite runs each of them with some dozens of examples. Here each reader gets an equal share of the time,
and its properties, and no other tests, run in it with ten times as many examples: again and again from
another seed, and in another order, so that the end of a share does not always cut off the same ones. What
fails is printed with the example and stays in .hypothesis, so the suite fails from then on.
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
# times what a property names (tests/examples.py)
FACTOR = 10
# seconds for one test; a property that takes longer hangs
LONGEST_TEST = 600
# the variable with what the order of the properties is drawn from
ORDER = "FUZZ_ORDER"
# what pytest says of no failure, and of no test
FINE = (0, 5)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("what", nargs="*", default=READERS)
    options = parser.parse_args(arguments)
    ends = time.monotonic() + options.minutes * 60
    found = []
    left = random.sample(options.what, len(options.what))
    while left:
        what = left.pop()
        # what one does not use is there for the others
        share = (ends - time.monotonic()) / (len(left) + 1)
        turns, seed = fuzzed(what, share)
        print(f"{what}: {turns} turns in at most {share:.0f} s", flush=True)
        if seed is not None:
            found.append(f"--hypothesis-seed={seed} {what}")
    print("\n".join(["found with", *found] if found else ["nothing found"]))
    return 1 if found else 0


def fuzzed(what: str, seconds: float) -> tuple[int, int | None]:
    """Run the tests of `what` from seed after seed: the number of whole turns, and the seed that failed."""
    deadline = time.monotonic() + seconds
    turns = 0
    while (left := deadline - time.monotonic()) > 0:
        seed = random.randrange(2**32)
        ran = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "-p", "no:cacheprovider",
             "-p", "tests.fuzz", "-m", "hypothesis",
             f"--timeout={LONGEST_TEST}", f"--hypothesis-seed={seed}", what],
            env={**os.environ, "HYPOTHESIS_PROFILE": PROFILE, "EXAMPLES": str(FACTOR), ORDER: str(seed)},
        )  # fmt: skip
        try:
            code = ran.wait(left)
        except subprocess.TimeoutExpired:
            ran.terminate()
            ran.wait()
            break
        if code not in FINE:
            return turns, seed
        turns += 1
    return turns, None


def pytest_collection_modifyitems(items: list[object]) -> None:
    """As a plugin of the runs: their order."""
    random.Random(os.environ[ORDER]).shuffle(items)


if __name__ == "__main__":
    sys.exit(main())
