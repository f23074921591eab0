"""TLS with an authority of our own: trusted when it is named, refused with a hint when it is not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from envforge.errors import NetworkError
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.scripted_server import ScriptedServer

SETTINGS = NetworkSettings(retries=0, timeout_s=10)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem``, and ``server.pem`` and ``server.key`` for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("authority")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        folder,
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
    )
    _openssl(folder, "req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text(
        "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    _openssl(
        folder,
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "server.pem", "-days", "2", "-extfile", "names"),
    )
    return folder


@pytest.fixture(scope="module")
def server(authority: Path) -> Iterator[ScriptedServer]:
    def wrap(server: ThreadingHTTPServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)

    with ScriptedServer(wrap) as running:
        running.on("/x", b"safely here")
        yield running


def test_an_authority_that_nobody_named(server: ScriptedServer) -> None:
    with HttpClient(SETTINGS) as client, pytest.raises(NetworkError) as caught:
        client.get(f"{server.url}/x")
    assert "its certificate is not trusted" in caught.value.message
    assert any("SSL_CERT_FILE" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_in_a_file(
    server: ScriptedServer, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    with HttpClient(SETTINGS) as client:
        assert client.get(f"{server.url}/x").body == b"safely here"


def test_an_authority_in_a_folder(
    server: ScriptedServer, authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(authority / "ca.pem", tmp_path)
    _openssl(tmp_path, "rehash", str(tmp_path))
    for variable in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(tmp_path))
        with HttpClient(SETTINGS) as client:
            assert client.get(f"{server.url}/x").body == b"safely here"
        monkeypatch.delenv(variable)


def test_a_certificate_for_another_name(
    server: ScriptedServer, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with HttpClient(SETTINGS) as client, pytest.raises(NetworkError, match="not trusted"):
        client.get(f"https://localhost:{server.port}/x")
