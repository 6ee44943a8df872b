"""A stored request as a command."""

import json
import subprocess

from gateway.admin.requests.reproduce import command

ADDRESS = "http://127.0.0.1:8082/v1/messages"


def run(text, folder):
    """What a shell would hand to curl: its arguments and what it reads."""
    fake = folder / "curl"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > args\ncat > body\n')
    fake.chmod(0o755)
    subprocess.run(
        ["sh", "-c", text],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "CCPROXY_KEY": "k"},
        check=True,
    )
    return (folder / "args").read_text(), (folder / "body").read_bytes()


def test_a_shell_sends_the_same_body_with_the_users_own_key(tmp_path):
    body = json.dumps({"text": 'it\'s $HOME `id` \\ "x"\n$(id)'}).encode()
    headers = {"x-api-key": "[masked]", "anthropic-version": "2023-06-01", "user-agent": "x"}
    arguments, sent = run(command(ADDRESS, headers, body), tmp_path)
    assert sent == body + b"\n"
    assert "x-api-key: k" in arguments
    assert "anthropic-version: 2023-06-01" in arguments
    assert "[masked]" not in arguments
    assert "user-agent" not in arguments


def test_hidden_characters_are_escaped_and_mean_the_same(tmp_path):
    body = '{"text":"a\u202eb\x9bc"}'.encode()
    text = command(ADDRESS, {}, body)
    assert "\u202e" not in text
    _, sent = run(text, tmp_path)
    assert json.loads(sent) == json.loads(body)


def test_neither_body_nor_headers_can_add_a_command(tmp_path):
    body = b"x\nEND\ntouch hacked\n'; touch hacked; '"
    headers = {"anthropic-beta": "a'; touch hacked; '", "anthropic-version": "x\n touch hacked"}
    run(command(ADDRESS, headers, body), tmp_path)
    assert not (tmp_path / "hacked").exists()
