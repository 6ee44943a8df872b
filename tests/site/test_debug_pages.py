"""Pages of DEBUG show no secret of the configuration."""

import sys

import pytest
from django.views.debug import ExceptionReporter, get_exception_reporter_filter

SECRET = "HEADERSECRET-42-0123456789"


@pytest.fixture
def page(rf, settings):
    settings.DEBUG = True
    settings.GATEWAY = {**settings.GATEWAY, "custom_headers": {"X-TEAM": SECRET}, "openai_api_key": SECRET}
    settings.REDIS_URL = f"redis://:{SECRET}@127.0.0.1/0"
    settings.CACHES = {"default": {"BACKEND": "x", "LOCATION": settings.REDIS_URL}}
    request = rf.post("/", {"credentials-0-value": SECRET}, headers={"x-api-key": SECRET, "x-team": SECRET})
    request.COOKIES["sessionid"] = SECRET
    typed = {"value": SECRET}
    try:
        raise ValueError("broken")
    except ValueError:
        reporter = ExceptionReporter(request, *sys.exc_info())
        return reporter.get_traceback_html() + reporter.get_traceback_text() + str(len(typed))


def test_neither_settings_nor_headers_nor_variables_show_a_secret(page):
    assert "broken" in page and "(not shown)" in page
    assert SECRET not in page


def test_our_filter_is_the_one_in_use(rf):
    assert type(get_exception_reporter_filter(rf.get("/"))).__name__ == "NothingSecret"
