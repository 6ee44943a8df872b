"""Which language a page speaks: the browser's, or the one that was chosen."""

import pytest

pytestmark = pytest.mark.once
CHINESE, ENGLISH = "登录", "Log in"


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", CHINESE),
        ("zh-Hans", CHINESE),
        ("zh", CHINESE),
        ("en-US,en;q=0.9", ENGLISH),
        ("sv, fr;q=0.7", ENGLISH),
    ],
)
def test_the_login_page_speaks_the_language_of_the_browser(client, db, accepted, said):
    page = client.get("/admin/login/", headers={"accept-language": accepted})
    assert said in page.content.decode()


def test_a_choice_holds_against_the_browser_s_language(admin_client):
    admin_client.post("/admin/i18n/setlang/", {"language": "en", "next": "/admin/"})
    page = admin_client.get("/admin/", headers={"accept-language": "zh-CN"}).content.decode()
    assert "Model mappings" in page
    assert "模型映射" not in page


def test_a_choice_survives_a_logout(admin_client):
    admin_client.post("/admin/i18n/setlang/", {"language": "zh-hans", "next": "/admin/"})
    admin_client.post("/admin/logout/")
    assert CHINESE in admin_client.get("/admin/login/").content.decode()


def test_the_login_page_offers_both_languages_and_the_choice_is_kept_by_a_cookie(client, db):
    page = client.get("/admin/login/?next=/admin/gateway/provider/").content.decode()
    assert 'value="zh-hans"' in page
    assert 'name="next" value="/admin/login/?next=/admin/gateway/provider/"' in page
    chosen = client.post("/admin/i18n/setlang/", {"language": "zh-hans", "next": "/admin/login/"})
    assert chosen.cookies["django_language"]["max-age"] > 30 * 24 * 3600
    assert CHINESE in client.get(chosen.url, headers={"accept-language": "en"}).content.decode()


def test_the_account_menu_offers_both_languages(admin_client):
    page = admin_client.get("/admin/").content.decode()
    assert '<input name="language" type="hidden" value="zh-hans">' in page
    assert '<input name="language" type="hidden" value="en">' in page
