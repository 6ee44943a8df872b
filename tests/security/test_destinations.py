import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.destinations import is_link_local, is_refused_host, leads_to_refused_host, origin_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.example.com/v1", "https://API.example.com:443/other"),
        ("http://api.example.com", "http://api.example.com:80/"),
        ("HTTPS://[::1]:8080/v1", "https://[::1]:8080"),
    ],
)
def test_spellings_of_one_server_have_one_origin(one, other):
    assert origin_of(one) == origin_of(other)


@pytest.mark.parametrize(
    "other",
    [
        "http://api.example.com/v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com.evil.example/v1",
        "https://evil.example/api.example.com/v1",
        "https://api.example.com:4430/v1",
        "https://api.example.com\\.evil.example/v1",
        "https://api.example.com./v1",
        "//api.example.com/v1",
        "",
    ],
)
def test_another_scheme_host_or_port_is_another_origin(other):
    assert origin_of("https://api.example.com/v1") != origin_of(other)


@given(st.text(), st.text())
def test_any_text_has_an_origin(one, other):
    assert origin_of(one) == origin_of(one)
    assert origin_of(f"https://a.example/{one}") != origin_of(f"https://b.example/{other}")


METADATA = ipaddress.IPv4Address("169.254.169.254")
SPELLINGS = [
    "169.254.169.254",
    "169.254.169.254.",
    str(int(METADATA)),
    hex(int(METADATA)),
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:0:169.254.169.254]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[febf::1]",
    "[fd00:ec2::254]",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
    "METADATA.google.internal.",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_link_local_and_metadata_addresses_are_refused_in_every_spelling(host):
    assert is_refused_host(host)
    assert leads_to_refused_host(f"http://{host}/v1")
    assert leads_to_refused_host(f"http://{host}:8080/v1")


@pytest.mark.parametrize(
    "host",
    ["api.openai.com", "127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.5", "169.253.1.1", "2002::1", "", "[::]",
     "169.254.169.254.nip.io", "[64:ff9b::8.8.8.8]", "metadata.example.com", "1", "fe80.example"],
)  # fmt: skip
def test_other_hosts_pass(host):
    assert not is_refused_host(host)


@given(st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_an_ipv6_address_hides_no_link_local_one(address):
    number = int(address)
    for carrier in ("::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::"):
        assert is_link_local(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(carrier)) | number)))
    assert is_link_local(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 7)))


@given(st.text())
def test_any_text_may_be_asked_about(text):
    is_refused_host(text)
    leads_to_refused_host(text)
