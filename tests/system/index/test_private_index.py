"""A real private index: pypiserver with a password, as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from envforge.errors import NetworkError
from envforge.index.index_set import IndexSet
from envforge.index.locations import IndexLocation
from envforge.model.requirement import parse_requirement
from envforge.model.target import Target
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings
from envforge.resolve.resolution import resolve_target

from support.distributions import make_sdist, make_wheel

SETTINGS = NetworkSettings(retries=1, timeout_s=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def private_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the simple API; the user is ``nora``, the password ``se/cr@t``."""
    program = Path(sys.executable).with_name("pypi-server")
    if not program.exists():
        pytest.skip("pypiserver is not installed beside this Python")
    folder = tmp_path_factory.mktemp("private")
    packages = folder / "packages"
    packages.mkdir()
    for distribution in (
        make_wheel("inner", "1.0", requires=["base>=1"], padding=40_000),
        make_wheel("base", "1.1"),
        make_sdist("base", "1.2", requires=["inner"]),
    ):
        (packages / distribution.filename).write_bytes(distribution.content)
    digest = b64encode(sha1(b"se/cr@t").digest()).decode()
    (folder / "htpasswd").write_text(f"nora:{{SHA}}{digest}\n")
    port = _free_port()
    process = subprocess.Popen(
        [
            *(str(program), "run", "-p", str(port), "-i", "127.0.0.1"),
            *(
                "-a",
                "list,download,update",
                "-P",
                str(folder / "htpasswd"),
                "--disable-fallback",
                str(packages),
            ),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}/simple"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("pypiserver did not start")


def _resolve(url: str, cache: Path) -> dict[str, str]:
    target = Target(platform="linux-64", python="3.12")
    requirements = [parse_requirement("inner")]
    with HttpClient(SETTINGS) as client:
        index = IndexLocation(name="private", url=url, default=True)
        index_set = IndexSet([index], {}, client, cache, SETTINGS)
        index_set.prefetch(requirements, [target], {})
        resolution = resolve_target({"project": requirements}, target, index_set, {})
        assert all(pin.file.sha256 for pin in index_set.with_hashes([resolution])[0].pins.values())
    return {name: pin.version for name, pin in resolution.pins.items()}


def test_credentials_in_the_url(private_index: str, tmp_path: Path) -> None:
    url = private_index.replace("://", "://nora:se%2Fcr%40t@")
    assert _resolve(url, tmp_path) == {"inner": "1.0", "base": "1.2"}


def test_credentials_in_the_environment(
    private_index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_PRIVATE_USERNAME", "nora")
    monkeypatch.setenv("ENVFORGE_INDEX_PRIVATE_PASSWORD", "se/cr@t")
    assert _resolve(private_index, tmp_path)


def test_credentials_in_a_variable_of_the_url(
    private_index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "se/cr@t")
    assert _resolve(private_index.replace("://", "://nora:${SECRET}@"), tmp_path)


def test_credentials_in_netrc(private_index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\n  login nora\n  password se/cr@t\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert _resolve(private_index, tmp_path)


def test_credentials_in_keyring(private_index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    backend_module = pytest.importorskip("keyring.backend")
    before = keyring.get_keyring()  # a class below KeyringBackend becomes one that keyring may choose

    class InMemory(backend_module.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "se/cr@t" if (service, username) == (host, "nora") else None

        def get_credential(self, service: str, username: str | None) -> object:
            from keyring.credentials import SimpleCredential

            return SimpleCredential("nora", "se/cr@t") if service == host else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    host = private_index.split("/")[2]
    keyring.set_keyring(InMemory())
    try:
        assert _resolve(private_index, tmp_path)
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("user", ["", "nora:wrong@", "eve:se%2Fcr%40t@"])
def test_refused(private_index: str, tmp_path: Path, user: str) -> None:
    with pytest.raises(NetworkError, match=r"the server answers 40[13]") as caught:
        _resolve(private_index.replace("://", f"://{user}"), tmp_path)
    shown = "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert "ENVFORGE_INDEX_PRIVATE_PASSWORD: not set" in shown
    assert f"URL of index 'private': {'has' if user else 'no'} credentials" in shown
    assert "wrong" not in shown
    assert "cr%40t" not in shown
