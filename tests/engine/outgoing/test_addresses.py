"""Which addresses a client may have this server connect to."""

from __future__ import annotations

import ipaddress

import pytest

from streaming.engine.outgoing import AddressRefused, AddressRules

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"]
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    *("::127.0.0.1", "::a9fe:a9fe", "::ffff:0:127.0.0.1", "64:ff9b:1::127.0.0.1", "fec0::1", "4000::1", "5f00::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressRules().allows("example.org", ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_not(address: str) -> None:
    assert not AddressRules().allows("example.org", ipaddress.ip_address(address))
    with pytest.raises(AddressRefused):
        AddressRules().check(f"http://[{address}]/" if ":" in address else f"http://{address}/")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "//example.org/", "example.org", "", "http://", "http:///a"),
        *("http://user:secret@example.org/", "http://user@example.org/", "http://example.org:99999/", "http://[::1/", "http://a b/"),
        *("http://example.org/\r\nX: y", "http://example.org/\0", "http://" + "a" * 3000 + ".org/", "javascript:alert(1)"),
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        AddressRules().check(url)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "nothing.invalid", "a..b", "\u0661.2.3.4"])
async def test_names_are_judged_by_what_they_lead_to(host: str) -> None:
    rules = AddressRules()
    with pytest.raises(AddressRefused):
        await rules.resolve(rules.check(f"http://{host}/"))


@pytest.mark.parametrize("allowed", ["127.0.0.0/8", "127.0.0.1", " 10.0.0.0/8 , 127.0.0.1/32", "localhost", "LOCALHOST, ::1"])
async def test_a_site_may_allow_others(allowed: str) -> None:
    rules = AddressRules.allowing(allowed)
    host = "localhost" if "localhost" in allowed.lower() else "127.0.0.1"
    address, port = await rules.resolve(rules.check(f"http://{host}:8123/"))
    assert ipaddress.ip_address(address).is_loopback and port == 8123
    with pytest.raises(AddressRefused):
        rules.check("http://192.168.1.1/")


async def test_an_allowed_name_allows_no_other_name_there() -> None:
    rules = AddressRules.allowing("files.internal")
    with pytest.raises(AddressRefused):
        await rules.resolve(rules.check("http://localhost/"))
