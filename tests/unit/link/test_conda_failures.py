"""py-rattler's words as errors: those that are hard to bring about, each as it says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, OfflineError, StoreError
from envforge.link.conda_failures import install_error
from envforge.link.conda_worker import refusing_channels
from envforge.model.conda import CondaRecord
from envforge.net.conda_client import ChannelLocation

CHANNEL = "https://repo.example.org/main"
FETCH = "failed to fetch a-1.0-0.conda\nCaused by: failed to interact with the package cache layer.\n"
LINK = "failed to link a-1.0-0.conda\nCaused by: failed to link 'lib/a.so'\n"


def record(name: str, url: str = CHANNEL) -> CondaRecord:
    return CondaRecord(
        name=name,
        version="1.0",
        build="0",
        build_number=0,
        subdir="linux-64",
        url=f"{url}/linux-64/{name}-1.0-0.conda",
        channel=url,
        sha256="ab" * 32,
    )


def error(report: str, *, url: str = CHANNEL, **more: list[str]) -> EnvforgeError:
    records = [record("aa", url), record("a", url)]
    return install_error(report, records, Path("/tier/prefixes/x"), Path("/cache/conda"), **more)


def said(found: EnvforgeError) -> str:
    return "\n".join([found.message, *found.context, *found.hints])


@pytest.mark.parametrize(
    ("report", "kind", "words"),
    [
        (FETCH + "Caused by: Invalid checksum", HashError, ["a 1.0 0 is not the archive", "ab" * 32]),
        (
            FETCH + "Caused by: error sending request for url (https://repo.example.org/x)\n"
            "Caused by: client error (Connect)\nCaused by: invalid peer certificate: UnknownIssuer",
            NetworkError,
            ["its certificate is not trusted", "SSL_CERT_FILE"],
        ),
        (
            FETCH + "Caused by: Request failed after 3 retries\nCaused by: something new",
            NetworkError,
            ["a 1.0 0 cannot be fetched: something new"],
        ),
        (
            FETCH + "Caused by: HTTP status client error (410 Gone) for url (https://repo.example.org/x)",
            NetworkError,
            ["410 Gone", "envforge lock --upgrade"],
        ),
        (
            FETCH + "Caused by: failed to unpack `x`: Disk quota exceeded (os error 122)",
            StoreError,
            ["cannot unpack a 1.0 0: the disk quota is used up", "path: /cache/conda"],
        ),
        (
            LINK + "Caused by: Too many open files (os error 24)",
            StoreError,
            ["cannot install a 1.0 0: too many open files", "path: /tier/prefixes/x", "ulimit"],
        ),
        (
            LINK + "Caused by: unexpected io operation\n"
            "Caused by: target prefix cannot be longer than the placeholder prefix (encoding 'utf-8')",
            StoreError,
            ["too long for a 1.0 0", "file: lib/a.so", "/tier/prefixes/x (16 characters)", "--tier DIR"],
        ),
        (
            "thread '<unnamed>' (7) panicked at crates/x.rs:1:1:\nthis cannot be\nnote: run with\n" + LINK,
            ArchiveError,
            ["a 1.0 0 cannot be installed", "reason: this cannot be"],
        ),
        (
            FETCH + "Caused by: invalid zip archive",
            ArchiveError,
            ["not the archive of a 1.0 0", "login page"],
        ),
        (
            FETCH + "Caused by: Python callback failed: RuntimeError: --offline forbids it",
            OfflineError,
            ["a 1.0 0 is not whole in the cache"],
        ),
        (
            "failed to acquire global cache lock\nCaused by: no eligible writable layers to cache package to",
            StoreError,
            ["/cache/conda", "ENVFORGE_CACHE_DIR"],
        ),
        ("all is lost", ArchiveError, ["a conda package cannot be installed", "reason: all is lost"]),
        ("", ArchiveError, ["a conda package cannot be installed"]),
    ],
)
def test_each_failure_has_its_kind(report: str, kind: type[EnvforgeError], words: list[str]) -> None:
    found = error(report)
    assert type(found) is kind
    for word in words:
        assert word in said(found)
    assert found.hints


def test_an_archive_of_a_folder_does_not_come_from_a_server() -> None:
    found = error(FETCH + "Caused by: bzip2: bz2 header missing", url="file:///channel")
    assert found.message == "a 1.0 0 cannot be installed"
    assert "file:///channel/linux-64/a-1.0-0.conda" in said(found)


def test_secrets_are_not_shown() -> None:
    report = FETCH + "Caused by: odd: https://repo.example.org/t/tk-1/main/x and https://me:pw@host/x"
    text = said(error(report, secrets=["tk-1"]))
    assert "tk-1" not in text
    assert "pw@" not in text
    assert "repo.example.org" in text


def test_where_credentials_were_looked_for_is_told() -> None:
    report = FETCH + f"Caused by: HTTP status client error (401 Unauthorized) for url ({CHANNEL}/x)"
    found = error(report, lookups=["netrc: no file"])
    assert "netrc: no file" in found.context
    channels = [
        ChannelLocation(name="main", url="https://me:pw@repo.example.org/main"),
        ChannelLocation(name="other", url="https://repo.example.org/other"),
        ChannelLocation(name="token", url="https://repo.example.org/t/tk-1/main"),
    ]
    assert [each.name for each in refusing_channels(report, channels)] == ["main", "token"]
    assert refusing_channels(report.replace("401 Unauthorized", "404 Not Found"), channels) == []
