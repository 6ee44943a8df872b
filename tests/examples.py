"""How many examples a property is tried with: the number it names, times EXAMPLES of the environment.

The suite tries two fifths of it, with other examples in each run; `make quick` tries few, and `make fuzz` ten
times the number, from seed after seed, for what reads what strangers send. Who has changed a grammar tries
more: `EXAMPLES=20 make test`. `make tellings` tries 10,000 tellings of answers.
"""

import os

USUAL = 0.4
FACTOR = float(os.environ.get("EXAMPLES", USUAL))


def examples(number: int) -> int:
    return max(3, round(number * FACTOR))
