"""Every fault of an upstream, streamed and not, with and without a second target."""

import pytest

from tests.faults.catalogue import cells, wanted
from tests.faults.cell import run_cell
from tests.faults.matrix import BEGIN, END, PAGE, expected, rows, table

CELLS = [
    pytest.param(
        fault,
        streamed,
        second,
        id=f"{fault.name}-{'streamed' if streamed else 'whole'}-{'two targets' if second else 'one target'}",
    )
    for fault, streamed, second in cells()
]


@pytest.mark.parametrize(("fault", "streamed", "second"), CELLS)
async def test_the_client_gets_a_whole_outcome_and_the_history_tells_it(fault, streamed, second):
    assert await run_cell(fault, streamed=streamed, second=second) == wanted(fault, streamed, second)


def test_the_table_in_the_documentation_is_that_of_these_cells():
    written = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert written == table(rows(expected()))
