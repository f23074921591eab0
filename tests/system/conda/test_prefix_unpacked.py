"""Prefixes of what is all unpacked: made in this process, and begun again in another where that fails."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from envforge.errors import HashError
from envforge.link import conda_install, conda_unpacked
from envforge.link.cancellation import Cancellation, CancelledError
from envforge.link.conda_prefix import Prefix, ensure_prefix, find_prefix
from envforge.model.conda import CondaRecord
from envforge.net.settings import NetworkSettings

from support.conda_archives import make_archive
from support.prefix_forge import Forge

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths and signals of POSIX")
FILES = 300
SCRIPT = """
import os, pickle, sys
from pathlib import Path
from envforge.events import SilentReporter
from envforge.link.conda_prefix import PrefixSpec, ensure_prefix
from envforge.net.settings import NetworkSettings

records, folder, cache = pickle.loads(sys.stdin.buffer.read())
spec = PrefixSpec(records=records, platform="linux-64")
import rattler
print("begins", flush=True)
options = dict(network=NetworkSettings(), environ=os.environ, reporter=SilentReporter())
ensure_prefix(spec, folder, packages_cache=cache, **options)
"""


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def records(forge: Forge, tmp_path: Path) -> tuple[CondaRecord, ...]:
    """Packages with many files each, a prefix in half of them; all are unpacked in the cache."""
    made = tuple(
        make_archive(
            tmp_path / "channel",
            name,
            {f"share/{name}/{number}": content(name, number) for number in range(FILES)},
            placeholder="/opt/anaconda1anaconda2anaconda3",
        )
        for name in ("a", "b", "c", "d")
    )
    forge.make(*made)
    forget(forge)
    return made


def content(name: str, number: int, prefix: str = "/opt/anaconda1anaconda2anaconda3") -> str:
    return f"{name} {number} in {prefix}" if number % 2 else f"{name} {number}"


def forget(forge: Forge) -> None:
    shutil.rmtree(forge.folder)


def check(forge: Forge, records: Sequence[CondaRecord]) -> None:
    """The prefix is there, and each file as its package says."""
    prefix = find_prefix(forge.spec(*records), forge.folder)
    assert prefix is not None
    for record in records:
        for number in range(FILES):
            place = prefix.path / "share" / record.name / str(number)
            assert place.read_text() == content(record.name, number, str(prefix.path))
    assert forge.left() == [prefix.path.name]


@pytest.fixture
def without_process(records: tuple[CondaRecord, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """From when all is unpacked."""

    def refuse(*_: object) -> None:
        raise AssertionError("a process was to be started")

    monkeypatch.setattr(conda_install, "install_records", refuse)


@pytest.mark.usefixtures("without_process")
def test_no_process_is_started_for_what_is_unpacked(forge: Forge, records: tuple[CondaRecord, ...]) -> None:
    forge.make(*records, offline=True)
    check(forge, records)
    forge.make(*records[:2])
    assert len(forge.left()) == 2


def test_what_is_gone_is_unpacked_again(forge: Forge, records: tuple[CondaRecord, ...]) -> None:
    """Again and again, because others are being linked when the first one fails."""
    for number in range(8):
        gone = forge.cache / f"{records[number % 4].name}-1.0-0" / "share" / records[number % 4].name / "7"
        gone.unlink()
        forge.make(*records)
        check(forge, records)
        assert gone.exists()
        forget(forge)


def test_what_another_has_made_meanwhile_is_left_alone(
    forge: Forge, records: tuple[CondaRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its guard was taken over while it was stopped; when it fails at last, the prefix is not its own."""

    def stopped_and_failed(*_: object) -> None:
        monkeypatch.undo()
        for guard in (forge.folder.parent / "guards").iterdir():
            guard.unlink()
        made.append(forge.make(*records).path.stat().st_ino)
        raise conda_unpacked.UnfinishedError

    made: list[int] = []
    monkeypatch.setattr(conda_unpacked, "link_unpacked", stopped_and_failed)
    assert forge.make(*records).path.stat().st_ino == made[0]
    check(forge, records)


@pytest.mark.parametrize("gone", ["info/paths.json", "share/a/7"])
def test_an_archive_that_is_fetched_again_is_compared_with_the_lock(
    forge: Forge, records: tuple[CondaRecord, ...], tmp_path: Path, gone: str
) -> None:
    make_archive(tmp_path / "channel", "a", {"share/a/7": "another"})
    (forge.cache / "a-1.0-0" / gone).unlink()
    assert "a 1.0 0 is not the archive that was locked" in forge.fails(HashError, *records)


def test_a_loop_may_be_running(forge: Forge, records: tuple[CondaRecord, ...]) -> None:
    async def within() -> None:
        forge.make(*records)

    asyncio.run(within())
    check(forge, records)


def make_until(forge: Forge, records: Sequence[CondaRecord], cancellation: Cancellation) -> Prefix:
    return ensure_prefix(
        forge.spec(*records),
        forge.folder,
        packages_cache=forge.cache,
        network=NetworkSettings(),
        environ=os.environ,
        reporter=forge,
        cancellation=cancellation,
    )


@pytest.mark.usefixtures("without_process")
def test_it_is_ended_from_outside(forge: Forge, records: tuple[CondaRecord, ...]) -> None:
    ended = 0
    for moment in range(8):
        cancellation = Cancellation()
        ending = threading.Timer(moment * 0.004, cancellation.cancel)
        ending.start()
        try:
            make_until(forge, records, cancellation)
        except CancelledError:
            ended += 1
        ending.join()
        make_until(forge, records, Cancellation())
        check(forge, records)
        forget(forge)
    assert ended


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_it_is_interrupted_or_killed_at_any_moment(
    forge: Forge, records: tuple[CondaRecord, ...], how: signal.Signals
) -> None:
    job = pickle.dumps((records, forge.folder, forge.cache))
    ended = 0
    for moment in range(8):
        words = [sys.executable, "-c", SCRIPT]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(job)
            process.stdin.close()
            process.stdout.readline()
            time.sleep(moment * 0.01)
            process.send_signal(how)
        ended += process.returncode != 0
        if find_prefix(forge.spec(*records), forge.folder) is None:
            forge.make(*records)
        check(forge, records)
        forget(forge)
    assert ended
