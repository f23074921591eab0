"""A conda channel behind TLS with an authority of our own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from envforge.errors import NetworkError
from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.net.settings import NetworkSettings

from support.scripted_server import ScriptedServer

CONFIG = """
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
subjectAltName = IP:127.0.0.1
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
[req]
distinguished_name = name
[name]
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem``, and ``server.pem`` and ``server.key`` for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "config").write_text(CONFIG)
    for command in (
        "req -config config -x509 -extensions ca -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        " -keyout ca.key -out ca.pem -days 2 -subj /CN=Test",
        "req -config config -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        " -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2"
        " -extfile config -extensions server",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server(authority: Path) -> Iterator[ScriptedServer]:
    def wrap(server: ThreadingHTTPServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)

    with ScriptedServer(wrap) as running:
        record = b'{"name": "x", "version": "1.0", "build": "0", "build_number": 0, "depends": []}'
        running.on("/c/noarch/repodata.json", b'{"packages": {"x-1.0-0.tar.bz2": ' + record + b"}}")
        yield running


def _versions(server: ScriptedServer, cache: Path, environ: dict[str, str]) -> list[str]:
    location = ChannelLocation(name="mine", url=f"{server.url}/c")
    with CondaChannels([location], NetworkSettings(retries=0, timeout_s=10), environ, cache) as channels:
        return list(channels.versions("x", "linux-64"))


def test_a_certificate_that_nobody_vouches_for(server: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="channel 'mine' cannot be used: its certificate is not") as caught:
        _versions(server, tmp_path, {})
    assert "SSL_CERT_FILE" in caught.value.hints[0]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_that_is_named(
    server: ScriptedServer, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    assert _versions(server, tmp_path, {variable: str(authority / "ca.pem")}) == ["1.0"]
