"""How many examples a property is tried with: the number it names, times EXAMPLES of the environment.

`make quick` tries few. Who has changed a grammar tries more: `EXAMPLES=20 make test`.
"""

import os

FACTOR = float(os.environ.get("EXAMPLES", "1"))


def examples(number: int) -> int:
    return max(3, round(number * FACTOR))
