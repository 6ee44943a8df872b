"""The page of a request says which target its session was given."""

import pytest

from gateway.models import RequestLog
from tests.admin.pages import url

pytestmark = pytest.mark.django_db


def test_the_page_says_the_arm_and_its_share(admin_client):
    RequestLog.objects.create(request_id="r1", arm="acme/<b>new</b>", arm_share=0.2, state="ok")
    RequestLog.objects.create(request_id="r2", state="ok")
    told = [
        admin_client.get(url("requestlog", "change", row.pk)).content.decode()
        for row in RequestLog.objects.order_by("request_id")
    ]
    assert "acme/&lt;b&gt;new&lt;/b&gt;" in told[0] and "(20 %)" in told[0]
    assert "the session is with" not in told[1]
