import pytest

from gateway.conf import GatewayConf
from gateway.config.launch import claude_code_lines, local_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8082"),
        ("localhost", "http://localhost:8082"),
        ("0.0.0.0", "http://127.0.0.1:8082"),
        ("::", "http://127.0.0.1:8082"),
        ("::1", "http://[::1]:8082"),
        ("[::1]", "http://[::1]:8082"),
        ("10.0.0.5", "http://10.0.0.5:8082"),
    ],
)
def test_the_gateway_s_address_can_be_opened_from_this_machine(host, url):
    assert local_url(GatewayConf(host=host)) == url


def test_the_three_lines_for_a_shell():
    assert claude_code_lines("http://127.0.0.1:8082", "ccp_x") == [
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:8082",
        "export ANTHROPIC_AUTH_TOKEN=ccp_x",
        "claude",
    ]


def test_a_token_that_a_shell_would_read_is_quoted():
    assert claude_code_lines("http://h", "a b;c")[1] == "export ANTHROPIC_AUTH_TOKEN='a b;c'"
