"""Credentials: found in order, sent to their own server only, never shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from envforge.errors import ManifestError
from envforge.net.auth import (
    Credentials,
    ask_keyring,
    describe_lookups,
    expand_url,
    find_credentials,
    origin,
    redact,
    split_credentials,
)

INDEX = "https://pkgs.test/simple"


def found(url: str, index_name: str = "corp", index_url: str = INDEX) -> tuple[str, str, str] | None:
    credentials = find_credentials(url, index_name, index_url)
    return (*credentials, credentials.source) if credentials else None


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "netrc"
    path.write_text("machine pkgs.test login nora password from-netrc\n")
    monkeypatch.setenv("NETRC", str(path))
    return path


def test_split_credentials() -> None:
    assert split_credentials("https://h/p") == ("https://h/p", None)
    bare, credentials = split_credentials("https://me%40corp:p%2Fw%3A@h:8/p@x?q=a@b")
    assert bare == "https://h:8/p@x?q=a@b"
    assert credentials is not None
    assert tuple(credentials) == ("me@corp", "p/w:")
    assert split_credentials("https://token@h/") == ("https://h/", Credentials("token", ""))
    assert split_credentials("https://@h/") == ("https://h/", None)
    assert split_credentials("https://h/?next=http://a:b@c/") == ("https://h/?next=http://a:b@c/", None)


def test_credentials_do_not_show() -> None:
    credentials = Credentials("ursula", "hunter2", "netrc")
    assert "hunter2" not in repr(credentials)
    assert "ursula" not in repr(credentials)
    assert credentials.authorization == "Basic dXJzdWxhOmh1bnRlcjI="


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@h/p", "https://***@h/p"),
        ("https://me:se@cret@h/p", "https://***@h/p"),
        ("https://token@h", "https://***@h"),
        ("see http://a:b@c/d and https://e:f@g.", "see http://***@c/d and https://***@g."),
        ("https://h/f.whl?X-Signature=abc&x=1 failed", "https://h/f.whl?*** failed"),
        ("no url, but me@home", "no url, but me@home"),
        ("https://h/simple/a@b", "https://h/simple/a@b"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_the_url_itself_wins(netrc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_PASSWORD", "from-env")
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_USERNAME", "eve")
    with_user = "https://iris:from-index@pkgs.test/simple"
    assert found("https://ursula:from-url@pkgs.test/x", index_url=with_user) == ("ursula", "from-url", "URL")
    assert found("https://pkgs.test/x", index_url=with_user) == ("iris", "from-index", "URL")
    assert found("https://pkgs.test/x") == ("eve", "from-env", "ENVFORGE_INDEX_CORP_PASSWORD")
    monkeypatch.delenv("ENVFORGE_INDEX_CORP_PASSWORD")
    assert found("https://pkgs.test/x") == ("nora", "from-netrc", "netrc")


def test_another_server_gets_nothing_of_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_PASSWORD", "from-env")
    with_user = "https://iris:from-index@pkgs.test/simple"
    for url in (
        "https://files.test/x",
        "http://pkgs.test/x",
        "https://pkgs.test:8443/x",
        "https://pkgs.test.evil/",
    ):
        assert found(url, index_url=with_user) is None
        assert found(url, index_url="") is None
    assert found("https://PKGS.test:443/x", index_url=with_user) is not None


def test_a_user_without_password_finds_one_in_netrc(netrc: Path) -> None:
    assert found("https://nora@pkgs.test/x") == ("nora", "from-netrc", "netrc")
    assert found("https://other@pkgs.test/x") == ("other", "", "URL")


def test_names_of_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_MY_CORP_2_PASSWORD", "x")
    assert found("https://pkgs.test/", "my.corp-2") == ("", "x", "ENVFORGE_INDEX_MY_CORP_2_PASSWORD")


def test_a_netrc_that_changes_is_read_again(netrc: Path) -> None:
    assert found("https://pkgs.test/x") == ("nora", "from-netrc", "netrc")
    netrc.write_text("machine pkgs.test login nora password newer\n")
    os.utime(netrc, ns=(1, 1))
    assert found("https://pkgs.test/x") == ("nora", "newer", "netrc")


def test_a_broken_netrc_is_passed_over_and_told(netrc: Path) -> None:
    netrc.write_text("machine\n  what is this")
    os.utime(netrc, ns=(2, 2))
    assert found("https://pkgs.test/x") is None
    assert any(
        f"netrc: {netrc} cannot be read: line " in line for line in describe_lookups(INDEX, "corp", INDEX)
    )


def test_lookups_are_described_without_values(netrc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_PASSWORD", "hunter2")
    lines = "\n".join(describe_lookups("https://pkgs.test/x", "corp", "https://a:hunter3@pkgs.test/simple"))
    assert "URL of index 'corp': has credentials" in lines
    assert "ENVFORGE_INDEX_CORP_USERNAME: not set, ENVFORGE_INDEX_CORP_PASSWORD: set" in lines
    assert f"netrc: {netrc} has an entry for pkgs.test" in lines
    assert "hunter" not in lines
    assert "from-netrc" not in lines


def test_variables_in_urls() -> None:
    environ = {"HOST": "pkgs.test", "TOKEN": "p@ss/w:rd%"}
    expanded = expand_url("https://me:${TOKEN}@${HOST}/simple", environ, "corp")
    assert expanded == "https://me:p%40ss%2Fw%3Ard%25@pkgs.test/simple"
    credentials = split_credentials(expanded)[1]
    assert credentials is not None
    assert credentials.password == "p@ss/w:rd%"
    assert expand_url("https://pkgs.test/$HOME", {}, "corp") == "https://pkgs.test/$HOME"


def test_a_variable_that_is_missing() -> None:
    with pytest.raises(ManifestError, match="index 'corp' needs variables that are not set: A, B") as caught:
        expand_url("https://${A}:${B}@h/${C}", {"A": "", "C": "x"}, "corp")
    assert caught.value.hints == ("set it: export A=...",)


def test_origins() -> None:
    assert origin("https://me:pw@Host.test/x") == ("https", "host.test", 443)
    assert origin("http://host.test:8080") == ("http", "host.test", 8080)
    assert origin("http://host.test:port/") != origin("http://host.test/")
    assert origin("http://[::1/") != origin("http://[::1]/")


def keyring_with(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[str, str]]) -> list[str]:
    asked: list[str] = []

    def get_credential(service: str, username: str | None) -> SimpleNamespace | None:
        asked.append(service)
        if service == "https://locked.test/x":
            raise RuntimeError("the keyring is locked")
        if service not in answers:
            return None
        return SimpleNamespace(username=answers[service][0], password=answers[service][1])

    module = ModuleType("keyring")
    module.get_credential = get_credential  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    return asked


def test_keyring_is_asked_for_the_url_then_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = keyring_with(monkeypatch, {"pkgs.test": ("kim", "from-keyring")})
    assert ask_keyring("https://pkgs.test/x") == Credentials("kim", "from-keyring", "keyring")
    assert asked == ["https://pkgs.test/x", "pkgs.test"]
    assert ask_keyring("https://other.test/x") is None
    assert ask_keyring("https://locked.test/x") is None


def test_without_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert ask_keyring("https://pkgs.test/x") is None
