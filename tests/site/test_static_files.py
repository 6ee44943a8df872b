"""Names of static files; tests/browser/test_payload.py sees them served."""

from ccproxy_site.pages.static_files import CollectedFiles


def test_what_was_never_collected_keeps_its_plain_name(tmp_path):
    files = CollectedFiles(location=str(tmp_path), base_url="/static/")
    assert files.url("gateway/gateway.css") == "/static/gateway/gateway.css"


def test_what_was_collected_has_the_name_that_says_its_content(tmp_path):
    (tmp_path / "a.css").write_text("b { color: red }")
    files = CollectedFiles(location=str(tmp_path), base_url="/below/static/")
    made = list(files.post_process({"a.css": (files, "a.css")}))
    assert not [fault for _name, _hashed, fault in made if isinstance(fault, Exception)]
    again = CollectedFiles(location=str(tmp_path), base_url="/below/static/")
    address = again.url("a.css")
    assert address.startswith("/below/static/a.") and address.endswith(".css")
    assert len(address) == len("/below/static/a.012345678901.css")
    assert again.url("new.css") == "/below/static/new.css"
