"""Prefixes made by processes that are killed, interrupted, or many: complete or absent, and made once."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import StoreError
from envforge.events import DownloadStarted, Event, PrefixFinished, WaitingForOwner
from envforge.link.conda_prefix import PrefixSpec, find_prefix
from envforge.metadata.rattler_records import from_rattler

from support.conda_archives import make_archive
from support.conda_channel import ChannelServer
from support.prefix_forge import Forge
from support.scripted_server import Answer

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked at in /proc")
KILLS = 10
SCRIPT = """
import os, pickle, sys
from pathlib import Path
from envforge.events import PrefixFinished, WaitingForOwner
from envforge.link.conda_prefix import ensure_prefix
from envforge.net.settings import NetworkSettings

class Told:
    def report(self, event):
        if isinstance(event, PrefixFinished | WaitingForOwner):
            print(type(event).__name__, flush=True)

spec = pickle.loads(Path(sys.argv[1]).read_bytes())
folder, cache = map(Path, sys.argv[2:])
network = NetworkSettings()
made = ensure_prefix(spec, folder, packages_cache=cache, network=network, environ=os.environ, reporter=Told())
print(made.path, flush=True)
"""


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def spec(rattler_solve: Callable[..., list[Any]], server: ChannelServer) -> PrefixSpec:
    rows = rattler_solve("greet=1", "conda-hello", "tinymath", source=server.url)
    records = tuple(from_rattler(row, lambda *_: ()) for row in rows)
    return PrefixSpec(records=records, platform="linux-64")


@pytest.fixture
def start(forge: Forge, tmp_path: Path) -> Iterator[Callable[[PrefixSpec], subprocess.Popen[str]]]:
    """Starts a process, in a session of its own, that makes a prefix."""
    started: list[subprocess.Popen[str]] = []

    def begin(spec: PrefixSpec) -> subprocess.Popen[str]:
        place = (
            tmp_path / f"spec{len(started)}"
        )  # not one for all: it would be written while another reads it
        place.write_bytes(pickle.dumps(spec))
        words = [sys.executable, "-c", SCRIPT, place, forge.folder, forge.cache]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def workers(parent: int) -> list[int]:
    """The processes that a process has started to install."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if place.name.isdecimal() and b"conda_worker" in (place / "cmdline").read_bytes():
                started_by = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(place.name)] if started_by == parent else []
    return found


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(condition: Callable[[], object], limit_s: float = 10) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.005)


def check(forge: Forge, spec: PrefixSpec) -> None:
    """What is there is whole: each file as its package says, and it runs."""
    prefix = find_prefix(spec, forge.folder)
    assert prefix is not None
    assert run(prefix.path / "bin" / "greet").startswith("hello")
    assert run(prefix.path / "bin" / "conda-hello").split()[-1] == str(prefix.path)
    assert run(prefix.python, "-c", "import tinymath; print(tinymath.add(1, 2))") == "3\n"
    assert len(list((prefix.path / "conda-meta").glob("*.json"))) == len(spec.records)
    assert forge.left() == [prefix.path.name]


def test_killed_at_any_moment(
    forge: Forge, spec: PrefixSpec, server: ChannelServer, tmp_path: Path, start: Any
) -> None:
    server.delay_s = 0.02
    measured = Forge(tmp_path / "measured")
    start_s = time.monotonic()
    measured.make_spec(spec)
    longest_s = time.monotonic() - start_s + 0.2
    moments = random.Random("prefix")
    killed = 0
    for number in range(KILLS):
        process = start(spec)
        try:
            process.communicate(timeout=longest_s * (number + moments.random()) / KILLS)
        except subprocess.TimeoutExpired:
            process.kill()  # the process alone: what it has started has to notice
            process.communicate()
            killed += 1
        if find_prefix(spec, forge.folder) is not None:
            check(forge, spec)
    assert killed > KILLS // 2, "hardly any was killed while it worked: the test proves nothing"
    forge.make_spec(spec)
    check(forge, spec)


def test_killed_while_it_links(forge: Forge, spec: PrefixSpec, start: Any) -> None:
    """Again and again when the first files are there: nothing of it gets into the next one."""
    forge.make_spec(PrefixSpec(records=spec.records[:1], platform="linux-64"))
    place = forge.folder / spec.digest
    killed = 0
    for number in range(6):
        process = start(spec)
        wait_for(lambda: (place / "conda-meta").exists())
        time.sleep(number * 0.01)
        killed += process.poll() is None
        process.kill()
        process.communicate()
        if find_prefix(spec, forge.folder) is None and place.exists():
            (place / "stray").write_text("of one that was killed")
    forge.make_spec(spec)
    assert killed
    assert not (place / "stray").exists()
    assert run(place / "bin" / "greet")


def test_what_it_started_ends_with_it(forge: Forge, tmp_path: Path, start: Any) -> None:
    with ChannelServer(main=tmp_path / "channel") as web:
        record = make_archive(tmp_path / "channel", "a", {"share/a": "a"}, url=web.url)
        web.on("*/a-1.0*", Answer(wait_s=60))
        process = start(PrefixSpec(records=(record,), platform="linux-64"))
        wait_for(lambda: web.downloads())
        (worker,) = workers(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: not Path("/proc", str(worker)).exists(), limit_s=5)


def test_interrupted_like_a_terminal_does(forge: Forge, tmp_path: Path, start: Any) -> None:
    with ChannelServer(main=tmp_path / "channel") as web:
        record = make_archive(tmp_path / "channel", "a", {"share/a": "a"}, url=web.url)
        web.on("*/a-1.0*", Answer(wait_s=60))
        process = start(PrefixSpec(records=(record,), platform="linux-64"))
        wait_for(lambda: web.downloads())
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert "KeyboardInterrupt" in err
        assert "conda_worker" not in err
    assert forge.left() == []
    assert workers(process.pid) == []


def test_the_installer_is_killed(forge: Forge, tmp_path: Path) -> None:
    """For lack of memory, most likely."""
    with ChannelServer(main=tmp_path / "channel") as web:
        record = make_archive(tmp_path / "channel", "a", {"share/a": "a"}, url=web.url)
        web.on("*/a-1.0*", Answer(before=lambda: os.kill(workers(os.getpid())[0], signal.SIGKILL)))
        says = forge.fails(StoreError, record)
    assert "ended with signal 9" in says
    assert "memory" in says


def test_many_at_once(forge: Forge, spec: PrefixSpec, server: ChannelServer, start: Any) -> None:
    server.delay_s = 0.05
    processes = [start(spec) for _ in range(6)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, "".join(err for _, err in said)
    assert sum("PrefixFinished" in out for out, _ in said) == 1
    assert sum("WaitingForOwner" in out for out, _ in said) >= 1
    assert len({out.split()[-1] for out, _ in said}) == 1
    assert len(server.downloads()) == len(set(server.downloads())) == len(spec.records)
    check(forge, spec)


def test_different_prefixes_at_once_share_the_cache(
    forge: Forge, spec: PrefixSpec, server: ChannelServer, start: Any, tmp_path: Path
) -> None:
    server.delay_s = 0.02
    by_name = {record.name: record for record in spec.records}
    wanted = (("python",), ("python", "libgreet"), ("python", "libgreet", "greet"))
    processes = [
        start(PrefixSpec(records=tuple(by_name[name] for name in names), platform="linux-64"))
        for names in wanted
    ]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert len(server.downloads()) == len(set(server.downloads()))
    assert len(forge.left()) == 3


def test_one_that_slept_leaves_alone_what_another_has_made(forge: Forge, tmp_path: Path) -> None:
    """Its guard was taken over while it was stopped; when it fails at last, the prefix is not its own."""
    with ChannelServer(main=tmp_path / "channel") as web:
        record = make_archive(tmp_path / "channel", "a", {"share/a": "a"}, url=web.url)
        guards = forge.folder.parent / "guards"
        another = Forge(tmp_path)
        another.cache = tmp_path / "another-cache"

        def sleep() -> None:
            web.heal()
            for guard in guards.iterdir():
                guard.unlink()
            another.make(record)

        web.on("*/a-1.0*", Answer(status=404, before=sleep))
        with pytest.raises(Exception, match="404"):
            forge.make(record, retries=0)
    assert another.told(PrefixFinished)
    prefix = find_prefix(forge.spec(record), forge.folder)
    assert prefix is not None
    assert (prefix.path / "share" / "a").read_text() == "a"


def test_what_others_left_half_unpacked_is_swept(forge: Forge, tmp_path: Path) -> None:
    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    old, new = forge.cache / ".b-1.0-0aBcDeF", forge.cache / ".c-1.0-0aBcDeF"
    for place in (old, new):
        (place / "share").mkdir(parents=True)
    os.utime(old, (0, 0))
    forge.make(record)
    assert not old.exists()
    assert new.exists()


def test_events_are_told_while_it_works(forge: Forge, tmp_path: Path) -> None:
    """Not all at the end: a person is waiting."""
    times: dict[type[Event], float] = {}

    def report(event: Event) -> None:
        times.setdefault(type(event), time.monotonic())

    forge.report = report  # type: ignore[method-assign]
    with ChannelServer(main=tmp_path / "channel") as web:
        record = make_archive(tmp_path / "channel", "a", {"share/a": "a"}, url=web.url)
        web.on(
            "*/a-1.0*",
            Answer(body=Path(tmp_path / "channel/noarch" / record.filename).read_bytes(), wait_s=1),
        )
        forge.make(record)
    assert times[PrefixFinished] - times[DownloadStarted] > 0.9
    assert WaitingForOwner not in times
