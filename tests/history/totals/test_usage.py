"""Usage of spans of time: each hour is in one of two neighbouring spans."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.history.record.rows import write
from gateway.history.totals.usage import usage
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"])
def test_months_add_up_to_what_was_used_in_zones_of_half_hours_too(zone):
    where = ZoneInfo(zone)
    november, december, january = (
        datetime(2026, 11, 1, tzinfo=where), datetime(2026, 12, 1, tzinfo=where),
        datetime(2027, 1, 1, tzinfo=where),
    )  # fmt: skip
    around = december.astimezone(UTC).replace(minute=0)
    write([outcome(number, started_at=around + timedelta(minutes=20 * number)) for number in range(-9, 9)])
    for by in ("model", "day"):
        months = [
            usage(by, *span, where).whole.requests for span in ((november, december), (december, january))
        ]
        assert sum(months) == 18 and all(months)
