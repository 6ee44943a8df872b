# ruff: noqa: E501 (tables of paths)
"""Paths and folders: what a rule allows is written in one way, what it forbids in any way."""

import posixpath
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.safeguards import Folders, folders_of
from gateway.safeguards.paths import LONGEST, plain_path, stays_below
from gateway.safeguards.rules import SAFE, Action, ActionRule, ruling
from tests.client_protocol.captured import protocol

CWD = "/home/a/w"
HERE = Folders(CWD, (CWD,), "/home/a", False)
SAFE_RULES = [ActionRule(n, "allow", **fields) for n, fields in enumerate(SAFE, 1)]
DENIED = [
    *SAFE_RULES,
    ActionRule(99, "deny", path="{cwd}/secrets/*"),
    ActionRule(98, "deny", "Read", path="{cwd}/.env"),
]


def decided(tool, rules, folders=HERE, **given_input):
    return ruling(Action("c", tool, given_input), rules, folders=folders).decision


def read(path, rules=DENIED, folders=HERE):
    return decided("Read", rules, folders, file_path=path)


WAYS = [
    "/home/a/w/secrets/k", "/home/a/w//secrets/k", "/home/a/w/secrets//k", "//home/a/w/secrets/k", "/home/a/w/secrets/./k",
    "/home/a/w/x/../secrets/k", "x/../secrets/k", "secrets/k", "./secrets/k", "~/w/secrets/k", "file:///home/a/w/secrets/k",
    "/home/a/w/secrets", "/home/a/w/secrets/", "/home/a/w/.env", "/home/a/w//.env", "/home/a/w/.env ", " /home/a/w/.env", "/home/a/w/.env\n",
    "/home/a/w/.env/", "/home/a/w/.env/.", "\u00a0/home/a/w/.env", "/home/a/w/.en\u200bv", "/home/a/w/.env.", "/home/a/w/.env::$DATA",
    "/home/a/w\\.env", "/x" + "/.." * 3 + "/home/a/w/.env", "/a/.." * LONGEST + "/home/a/w/.env",
]  # fmt: skip


@pytest.mark.parametrize("path", WAYS, ids=lambda path: ascii(path)[:40])
def test_a_forbidden_file_is_found_however_it_is_written(path):
    assert read(path) == "deny"


def test_letters_have_no_case_where_the_machine_says_so_or_nobody_knows():
    assert read("/home/a/w/.ENV", folders=HERE._replace(ignores_case=True)) == "deny"
    assert read("/HOME/a/W/Secrets/k", folders=HERE._replace(ignores_case=True)) == "deny"
    assert read("/home/a/w/.ENV") == "allow"


@given(st.lists(st.sampled_from(["/", "//", "./", "../", "x/", "secrets", "w", ".env", " ", "home/a/w/", "k", "/home/a/w/"]), max_size=9))  # fmt: skip
def test_no_way_of_writing_a_forbidden_file_is_allowed(parts):
    path = "".join(parts)
    opened = posixpath.normpath(posixpath.join(CWD, path.strip()))
    opened = "/" + opened.lstrip("/")
    decision = read(path)
    if opened == f"{CWD}/.env" or opened.startswith(f"{CWD}/secrets/"):
        assert decision == "deny"
    if decision == "allow":
        assert path == opened and opened.startswith(CWD + "/")


def test_deny_wins_over_a_rule_that_allows_everything():
    rules = [ActionRule(1, "allow", "Read", path="/*"), ActionRule(2, "deny", "Read", path="/etc/*")]
    assert {read(path, rules) for path in ("/etc/shadow", "//etc/shadow", "/x/../etc/shadow", "/etc")} == {
        "deny"
    }
    assert read("/usr/x", rules) == "allow"


def test_no_way_of_writing_passes_an_earlier_rule_that_leaves_undecided():
    rules = [
        ActionRule(1, "undecided", "Read", path="{cwd}/secrets/*"),
        ActionRule(2, "allow", "Read", path="/*"),
    ]
    for path in WAYS[:11]:
        assert read(path, rules) == "undecided"
    assert read("/home/a/w/SECRETS/k", rules, HERE._replace(ignores_case=True)) == "undecided"


@pytest.mark.parametrize("cwd", ["/home/~a/w", "C:\\w", "C:/w", "/c/w", "/home/a/w/", "/home/a/../b", "/w*"])
def test_a_rule_that_denies_knows_odd_working_directories(cwd):
    folders = Folders(cwd, (), "", True)
    for path in (f"{cwd}/secrets/k", "secrets/k", cwd.rstrip("/") + "/x/../secrets/k"):
        assert read(path, folders=folders) == "deny"
    assert read(f"{cwd}/x", folders=folders) == "undecided"


@pytest.mark.parametrize(
    "path",
    ["C:\\w\\secrets\\k", "c:/W/secrets/k", "/c/w/secrets/k", "\\\\?\\C:\\w\\secrets\\k", "secrets\\k"],
)
def test_a_file_of_windows_has_several_names(path):
    assert read(path, folders=Folders("C:\\w")) == "deny"


@pytest.mark.parametrize(
    "cwd", ["/", "/home", "/home/a", "/home/a/.ssh", "/tmp", "/home/a/w/../.ssh", "/home/a/wide", ""]
)
@pytest.mark.parametrize("trusted", [(CWD,), ("/home/a",), ("/",), (), ("",)])
def test_the_safe_rules_do_not_follow_the_model_where_it_goes(cwd, trusted):
    folders = HERE._replace(cwd=cwd, trusted=trusted)
    for path in ("/home/a/.ssh/id_rsa", "/etc/shadow", f"{cwd}/x"):
        assert read(path, SAFE_RULES, folders) == "undecided"
        assert decided("Grep", SAFE_RULES, folders, path=path, pattern="x") == "undecided"


def test_a_folder_inside_a_trusted_one_is_trusted():
    inside = HERE._replace(cwd=f"{CWD}/src")
    assert read(f"{CWD}/src/x", SAFE_RULES, inside) == "allow"
    assert read(f"{CWD}/x", SAFE_RULES, inside) == "undecided"
    assert read(f"{CWD}/x", SAFE_RULES, HERE._replace(trusted=("/srv", CWD))) == "allow"


def test_a_rule_that_denies_stays_where_it_was_when_the_model_moves():
    for cwd in ("/tmp", f"{CWD}/src", "/"):
        assert read("/home/a/w/.env", folders=HERE._replace(cwd=cwd)) == "deny"


@pytest.mark.parametrize(
    "pattern",
    ["{.,x}./id_rsa", ".{.,}/x", r".\./x", "[.]./x", "x/.{.,}/.{.,}/etc/*", "C:/Windows/*", "\\etc\\x", "?./x", ".?/x", "??/x", ".*/x",
     " ../x", ".. /x", "a/ b", "x /y", "", "/etc/*", "//etc", "a//b", "@(.)./x", "+(.)/x", "!(a)/x", "~/x", "$HOME/x", "a\n/b", "a\x00b", "x" * 9000,
     7, None, ["*"]],
)  # fmt: skip
def test_no_pattern_of_files_leads_out_of_its_folder(pattern):
    assert not stays_below(pattern)
    assert decided("Glob", SAFE_RULES, path=CWD, pattern=pattern) == "undecided"


@given(st.text(alphabet="./*?{},[]\\ a~:!()@+", max_size=12))
def test_a_pattern_of_files_that_is_allowed_has_plain_steps(pattern):
    if decided("Glob", SAFE_RULES, path=CWD, pattern=pattern) == "allow":
        assert not set(pattern) & set("{}[]\\~:!()") and not pattern.startswith("/") and ".." not in pattern


@pytest.mark.parametrize(
    "path", ["/home/a/w/.. ", "/home/a/w/ ..", "/home/a/w/..\u00a0", "/home/a/w/x/", "/home/a/w//x"]
)
@pytest.mark.parametrize("tool", ["Grep", "LS", "Glob"])
def test_a_path_that_is_not_canonical_is_not_allowed(tool, path):
    assert not plain_path(path)
    assert decided(tool, SAFE_RULES, path=path) == "undecided"


def test_a_search_above_forbidden_files_is_not_allowed():
    assert decided("Grep", DENIED, path=CWD, pattern="x") == "undecided"
    assert decided("Grep", DENIED, path=f"{CWD}/.env", pattern="x") == "undecided"
    assert decided("Grep", DENIED, path=f"{CWD}/src", pattern="x") == "allow"
    assert decided("Grep", SAFE_RULES, path=CWD, pattern="x", glob="*.py", head_limit=3) == "allow"
    assert decided("Glob", DENIED, path=CWD, pattern="*") == "undecided"
    assert decided("Glob", DENIED, path=CWD, pattern="secrets/*") == "deny"
    names = [*SAFE_RULES, ActionRule(9, "deny", "Read", path="{cwd}/.env")]
    assert decided("Glob", names, path=CWD, pattern="*") == "allow"


def test_a_rule_for_a_path_allows_no_argument_that_may_name_another():
    rules = [ActionRule(1, "allow", "mcp__*", path="/data/*")]
    assert decided("mcp__fs__read", rules, path="/data/x", head=5) == "allow"
    assert decided("mcp__fs__copy", rules, path="/data/x", destination="/etc/x") == "undecided"
    assert decided("mcp__fs__read", rules, path="/data/x", file_path=["/etc/x"]) == "undecided"
    assert decided("mcp__fs__read", rules, paths=["/data/x"]) == "undecided"
    assert decided("mcp__fs__read", [ActionRule(1, "deny", path="/etc/*")], paths=["/etc/x"]) == "deny"


def test_long_texts_are_no_paths():
    rules = [ActionRule(1, "deny", path="/etc/*")]
    text = "line\n" * LONGEST
    given = {"notebook_path": "/home/a/w/x.ipynb", "new_source": text, "profile": text}
    assert decided("NotebookEdit", rules, **given) == "undecided"
    assert decided("mcp__x", rules, target_path="/x/.." * LONGEST + "/etc/x") == "deny"


def test_the_folders_are_those_of_the_client():
    _headers, body = protocol("10")
    context = body["safeguards"][0]["classifier_context"]
    assert folders_of(context) == Folders("/home/dev/work", ("/home/dev/work",), "/home/dev", False)
    more = {"primary": {"path": "/v", "resolved": ["/private/v"]}, "additional": ["/x", {"path": "/y"}, 7]}
    assert folders_of({**context, "trusted_directories": more}).trusted == ("/v", "/private/v", "/x", "/y")
    assert folders_of({**context, "home_dir": None}).trusted == ()
    assert folders_of({}) == Folders() and Folders().ignores_case


@given(st.dictionaries(st.sampled_from(["live_cwd", "home_dir", "trusted_directories", "case_insensitive_paths"]), st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["primary", "additional", "path", "resolved"]), inner))))  # fmt: skip
def test_a_context_of_any_form_has_folders(context):
    read("/home/a/w/x", folders=folders_of(context))


@pytest.mark.parametrize(
    "path", ["/" * 10**6, "../" * 10**6, "a" * 10**6, "/a" * 2000, "/a " * 1300, " " * 10**6]
)
def test_a_long_path_is_judged_in_time(path):
    began = time.thread_time()
    read(path, DENIED * 5)
    decided("Glob", DENIED * 5, path=path, pattern=path)
    # seconds of CPU
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    ("pattern", "given_input"),
    [("/etc/*", {"file_path": "x:/../../../../etc/shadow"}), ("{cwd}/.env", {"file_path": "x:/../.env"}),
     ("{cwd}/.env", {"file_path": f"{CWD}/.. /../.env"}), ("{cwd}/secrets/*", {"file_path": f"{CWD}/. /../secrets/k"}),
     ("{cwd}/.env", {"file_path": " /../.env"}), ("/etc/*", {"files": [{"path": "/etc/passwd"}]}),
     ("/etc/*", {"options": {"path": "/etc/passwd"}}), ("/etc/*", {"files": {"a": ["/etc/passwd"]}}),
     ("/etc/*", {"path": "file://localhost/etc/shadow"}), ("/etc/*", {"path": "FILE:///etc/shadow"}),
     ("/etc/*", {"path": "/proc/self/root/etc/shadow"}), ("{cwd}/.env", {"path": "/proc/self/cwd/.env"}),
     ("{cwd}/.env", {"path": "/proc/self/cwd/x/../.env"}), ("/etc/*", {"path": "/proc/1/task/1/root/etc/shadow"}),
     ("/home/a/.env", {"path": "/proc/self/cwd/../.env"})],
)  # fmt: skip
def test_a_forbidden_file_is_found_as_each_system_opens_it(pattern, given_input):
    assert decided("Read", [ActionRule(1, "deny", path=pattern)], **given_input) == "deny"


@pytest.mark.parametrize("name", ["file_content", "source"])
def test_a_long_text_that_no_client_opens_is_not_forbidden(name):
    given_input = {name: "A" * 8_000}
    assert decided("mcp__drive__upload", [ActionRule(1, "deny", path="/etc/*")], **given_input) == "undecided"


def test_many_paths_are_judged_in_time_and_count_as_forbidden():
    folders = HERE._replace(trusted=tuple(f"/home/a/{number}" for number in range(41)))
    rules = [ActionRule(number, "deny", path=f"{{cwd}}/secrets{number}/*") for number in range(4)]
    began = time.process_time()
    assert decided("Read", rules, folders, paths=[f"x{number}" for number in range(2_000)]) == "deny"
    assert time.process_time() - began < 0.2


def test_folders_that_no_system_has_are_dropped():
    context = {"live_cwd": CWD, "home_dir": "/home/a", "trusted_directories": {"primary": "/x" * LONGEST}}
    assert folders_of(context).trusted == ()
