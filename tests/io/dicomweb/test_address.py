"""Which addresses are asked, and where secrets come from."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from medsr.core.errors import UsageError
from medsr.io.dicomweb.address import check_address, is_valid_uid
from medsr.io.dicomweb.credentials import SECOND_PREFIX, credentials_for

ADDRESS = "https://pacs.example/dicom-web"


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "USER", "PASSWORD", "CERTIFICATE", "KEY", "CA"):
        monkeypatch.delenv(f"MEDSR_DICOMWEB_{name}", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.mark.parametrize("address", [ADDRESS, "http://localhost:8042/x", "http://127.0.0.1/x", "http://[::1]:8042"])
def test_https_and_this_machine_are_asked(address: str) -> None:
    assert check_address(address + "/", "to_archive") == address


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://pacs.example/dicom-web", "use https"),
        ("http://localhost.evil.example/x", "use https"),
        ("http://127.0.0.1@evil.example/", "leave the user"),
        ("https://me:secret@pacs.example/x", "leave the user"),
        ("ftp://pacs.example/x", "expected an address"),
        ("pacs.example/x", "expected an address"),
        ("https://", "expected an address"),
        ("https://pacs.example:port/x", "expected an address"),
        ("https://pacs.example/x?token=1", "without ?"),
        ("https://pacs.example/x#a", "without ?"),
        ("https://pacs.example/a b", "without spaces"),
        ("https://pacs.example/\x1b[2J", "without spaces"),
        ("https://[::1", "expected an address"),
        ("", "expected an address"),
    ],
)
def test_other_addresses_are_refused_and_no_password_is_repeated(address: str, words: str) -> None:
    with pytest.raises(UsageError, match="`from_archive`") as raised:
        check_address(address, "from_archive")
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("uid", ["1.2.840.10008", "2.25.0", "0.1"])
def test_uids(uid: str) -> None:
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", "..", "1..2", "1.2/../3", "1.2.", ".1", "1.02", "1.2\n", "1", "1." + "2" * 63, "a.b"]
)
def test_what_would_be_a_path_is_not_a_uid(uid: str) -> None:
    assert not is_valid_uid(uid)


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSR_DICOMWEB_USER", "me")
    monkeypatch.setenv("MEDSR_DICOMWEB_PASSWORD", "secret")
    monkeypatch.setenv("MEDSR_DICOMWEB_TO_TOKEN", "other secret")
    first, second = credentials_for(ADDRESS), credentials_for(ADDRESS, SECOND_PREFIX)
    assert (first.token, first.user, first.password) == (None, "me", "secret")
    assert (second.token, second.user, second.password) == ("other secret", None, None)
    assert "secret" not in repr(first) + repr(second)


def test_a_keyring_is_asked_where_the_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {(ADDRESS, "token"): "kept", (ADDRESS, "me"): "password"}
    keyring = SimpleNamespace(get_password=lambda service, user: entries.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert credentials_for(ADDRESS).token == "kept"
    assert credentials_for("https://other.example").token is None
    monkeypatch.setenv("MEDSR_DICOMWEB_USER", "me")
    assert (credentials_for(ADDRESS).token, credentials_for(ADDRESS).password) == (None, "password")
    monkeypatch.setenv("MEDSR_DICOMWEB_TOKEN", "mine")
    assert credentials_for(ADDRESS).token == "mine"


def test_half_a_pair_and_secrets_with_line_ends_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSR_DICOMWEB_USER", "me")
    with pytest.raises(UsageError, match="MEDSR_DICOMWEB_PASSWORD: is not set"):
        credentials_for(ADDRESS)
    monkeypatch.setenv("MEDSR_DICOMWEB_TOKEN", "secret\nX-Other: 1")
    with pytest.raises(UsageError, match="MEDSR_DICOMWEB_TOKEN: holds") as raised:
        credentials_for(ADDRESS)
    assert "secret" not in str(raised.value)


def test_certificates_are_looked_at_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    own, ca = authority.issue_cert("client.example"), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    own.cert_chain_pems[0].write_to_path(certificate)
    own.private_key_pem.write_to_path(key)
    monkeypatch.setenv("MEDSR_DICOMWEB_CERTIFICATE", str(certificate))
    monkeypatch.setenv("MEDSR_DICOMWEB_KEY", str(key))
    assert credentials_for(ADDRESS, ca=ca).key == key
    with pytest.raises(UsageError, match=r"`ca`: .* is not a file"):
        credentials_for(ADDRESS, ca=tmp_path / "none.pem")
    with pytest.raises(UsageError, match=r"`ca`: .* holds no certificate"):
        credentials_for(ADDRESS, ca=key)
    monkeypatch.setenv("MEDSR_DICOMWEB_KEY", str(ca))
    with pytest.raises(UsageError, match="are not a certificate with its unencrypted key"):
        credentials_for(ADDRESS)
    monkeypatch.delenv("MEDSR_DICOMWEB_CERTIFICATE")
    with pytest.raises(UsageError, match="MEDSR_DICOMWEB_CERTIFICATE: is not set"):
        credentials_for(ADDRESS)


def test_nobody_is_asked_for_the_pass_phrase_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization

    own = trustme.CA().issue_cert("client.example")
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"phrase"),
    )
    (tmp_path / "both.pem").write_bytes(own.cert_chain_pems[0].bytes() + locked)
    monkeypatch.setenv("MEDSR_DICOMWEB_CERTIFICATE", str(tmp_path / "both.pem"))
    with pytest.raises(UsageError, match="unencrypted"):
        credentials_for(ADDRESS)
