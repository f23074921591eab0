"""What people see while something happens: in a pipe, on a terminal, interrupted, as JSON."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from envforge.cli.output import Output
from envforge.cli.reporters import open_reporter
from envforge.cli.reporters.tally import Tally
from envforge.events import (
    DownloadFinished,
    DownloadProgressed,
    DownloadStarted,
    FetchPlanned,
    LinkScriptRun,
    MetadataFetched,
    PrefixFinished,
    PrefixStarted,
    ResolutionFinished,
    ResolutionStarted,
    WaitingFinished,
    WaitingForOwner,
    Warned,
)

SYNC = """
torch = "torch-2.9.0-cp312-cp312-manylinux_2_28_x86_64.whl"
reporter.report(ResolutionStarted(target="linux-64 · Python 3.12"))
for number in range(40):
    reporter.report(MetadataFetched(name="numpy", version="2.0", known_count=number + 1))
time.sleep(PAUSE)
reporter.report(ResolutionFinished(target="linux-64 · Python 3.12", package_count=12))
reporter.report(FetchPlanned(file_count=2, size_bytes=3_000_000))
reporter.report(DownloadStarted(filename=torch, size_bytes=2_000_000))
reporter.report(DownloadStarted(filename="six-1.16.0-py2.py3-none-any.whl", size_bytes=None))
reporter.report(DownloadProgressed(filename=torch, received_bytes=500_000))
time.sleep(PAUSE)
reporter.report(Warned(message="numpy 2.0 was yanked", hint="upgrade it"))
time.sleep(PAUSE / 4)
reporter.report(WaitingForOwner(what="trees/torch", owner="process 17 on node3"))
reporter.report(WaitingForOwner(what="trees/torch", owner="process 17 on node3", progress="1.2 of 3.1 GB"))
time.sleep(PAUSE / 2)
reporter.report(WaitingFinished(what="trees/torch"))
reporter.report(DownloadProgressed(filename=torch, received_bytes=1_500_000))
reporter.report(DownloadFinished(filename=torch))
reporter.report(DownloadProgressed(filename="six-1.16.0-py2.py3-none-any.whl", received_bytes=1_000_000))
reporter.report(DownloadFinished(filename="six-1.16.0-py2.py3-none-any.whl"))
reporter.report(TreeStored(filename="six-1.16.0-py2.py3-none-any.whl", file_count=9, size_bytes=1_200_000))
reporter.report(BuildStarted(what="mine"))
reporter.report(BuildFinished(what="mine", duration_s=1.25))
"""


def sync_with_pause(pause_s: float) -> str:
    return SYNC.replace("PAUSE", str(pause_s))


def untimed(text: str) -> str:
    import re

    return re.sub(r" in [\d.]+ m?s$", " in TIME", text, flags=re.MULTILINE)


def test_a_pipe_gets_a_few_lines(envforge, command_script):
    done = envforge("try", script=command_script(sync_with_pause(0.01)))
    assert (done.code, done.stdout) == (0, "")
    assert untimed(done.stderr).splitlines() == [
        "Resolved 12 packages in TIME",
        "Downloading 2 files (3.0 MB)",
        "warning: numpy 2.0 was yanked",
        "hint: upgrade it",
        "Waiting for process 17 on node3: trees/torch",
        "Downloaded 2 files (3.0 MB) in TIME",
        "Built mine in TIME",
    ]


def test_a_long_wait_gives_a_sign_of_life(envforge, command_script):
    script = """
import envforge.cli.reporters.lines as lines
for second in range(4):
    lines.monotonic = lambda: 1e6 + 25.0 * second
    reporter.report(WaitingForOwner(what="torch", owner="process 17 on node3", progress=f"{second} GB"))
"""
    done = envforge("try", script=command_script(script))
    assert done.stderr.splitlines() == [
        "Waiting for process 17 on node3: torch (0 GB)",
        "Waiting for process 17 on node3: torch (2 GB)",
    ]


def test_verbose_adds_lines(envforge, command_script):
    done = envforge("-v", "try", script=command_script(sync_with_pause(0.01)))
    assert "Stored six-1.16.0-py2.py3-none-any.whl: 9 files, 1.2 MB" in done.stderr.splitlines()
    assert "Resolved 12 packages for linux-64 · Python 3.12" in done.stderr.splitlines()


def test_quiet_says_nothing(envforge, command_script):
    done = envforge("-q", "try", script=command_script(sync_with_pause(0.01)))
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_json_keeps_warnings_for_the_document(envforge, command_script):
    script = command_script(sync_with_pause(0.01) + "output.document({'done': True})")
    done = envforge("try", "--json", script=script)
    assert (done.code, done.stderr) == (0, "")
    warning = {"message": "numpy 2.0 was yanked", "hint": "upgrade it"}
    assert json.loads(done.stdout) == {"done": True, "warnings": [warning]}


def test_a_terminal_gets_a_live_display_that_vanishes(on_terminal, command_script):
    done = on_terminal("try", script=command_script(sync_with_pause(0.8)), COLUMNS="100")
    assert done.code == 0
    assert "Resolving linux-64 · Python 3.12  40 releases read" in done.plain
    assert "Downloading 0/2 files" in done.plain
    assert "torch-2.9.0 " in done.plain and "500 kB / 2.0 MB" in done.plain
    assert "500 kB / 3.0 MB" in done.plain
    assert "Waiting for process 17 on node3: trees/torch (1.2 of 3.1 GB)" in done.plain
    # the cursor is back, and what stays are lines as a pipe gets them
    assert done.stdout.rindex("\x1b[?25h") > done.stdout.rindex("\x1b[?25l")
    assert untimed("\n".join(done.screen)).splitlines() == [
        "Resolved 12 packages in TIME",
        "warning: numpy 2.0 was yanked",
        "hint: upgrade it",
        "Waiting for process 17 on node3: trees/torch",
        "Downloaded 2 files (3.0 MB) in TIME",
        "Built mine in TIME",
    ]


def test_a_quick_command_on_a_terminal_never_imports_rich(on_terminal, command_script):
    script = command_script(sync_with_pause(0) + "import sys\noutput.say(f'rich: {\"rich\" in sys.modules}')")
    done = on_terminal("try", script=script)
    assert "rich: False" in done.plain
    assert "\x1b[?25l" not in done.stdout


@pytest.mark.parametrize("words", [["-q"], ["--json"]])
def test_no_display_where_nothing_may_be_said(on_terminal, command_script, words):
    done = on_terminal(*words, "try", script=command_script(sync_with_pause(0.25)))
    assert (done.code, done.stdout) == (0, "")


def test_a_display_is_gone_before_another_program_takes_over(on_terminal, command_script):
    body = """
import os, threading
reporter.report(ResolutionStarted(target="linux-64 · Python 3.12"))
time.sleep(0.9)
reporter.report(HandingOver())
assert threading.active_count() == 1
os.execlp("echo", "echo", "the other program")
"""
    done = on_terminal("try", script=command_script(body))
    assert "Resolving" in done.plain
    assert done.screen == ["the other program"]
    end_of_display = done.stdout.rindex("\x1b[?25h")
    assert "\x1b[?25l" not in done.stdout[end_of_display:]


def test_ctrl_c_takes_the_display_away_and_says_one_line(on_terminal, command_script):
    body = 'reporter.report(ResolutionStarted(target="x"))\ntime.sleep(30)'
    done = on_terminal("try", script=command_script(body), interrupt_at="Resolving")
    assert done.code == 130
    assert done.stdout.rindex("\x1b[?25h") > done.stdout.rindex("\x1b[?25l")
    assert done.screen[-1].removeprefix("^C") == "interrupted"
    assert len(done.screen) == 1


def test_ctrl_c_without_a_terminal(tmp_path: Path, environ, command_script):
    import signal
    import subprocess
    import sys

    script = command_script("output.say('ready')\ntime.sleep(30)")
    process = subprocess.Popen(
        [sys.executable, str(script), "try"], env=environ, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert process.stderr.read() == "interrupted\n"
    process.stderr.close()


def test_events_of_many_threads_add_up():
    tally = Tally()
    tally.add(FetchPlanned(file_count=8, size_bytes=8_000))

    def download(number: int) -> None:
        filename = f"{number}.whl"
        tally.add(DownloadStarted(filename=filename, size_bytes=1_000))
        for _ in range(500):
            tally.add(DownloadProgressed(filename=filename, received_bytes=2))
        tally.add(DownloadFinished(filename=filename))

    threads = [threading.Thread(target=download, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tally.received_bytes, tally.finished_files) == (8_000, 8)
    assert tally.biggest_transfers(4) == []


def test_a_download_that_starts_again_does_not_count_twice():
    tally = Tally()
    for received_bytes in (700, 1_000):
        tally.add(DownloadStarted(filename="a.whl", size_bytes=1_000))
        tally.add(DownloadProgressed(filename="a.whl", received_bytes=received_bytes))
    assert tally.received_bytes == 1_000


def test_waiting_ends_when_it_is_said_to():
    tally = Tally()
    tally.add(WaitingForOwner(what="x", owner="y"))
    tally.add(WaitingForOwner(what="z", owner="y"))
    further = WaitingForOwner(what="x", owner="y", progress="1.2 of 3.1 GB")
    tally.add(further)
    assert tally.waits(1) == [further]
    tally.add(WaitingFinished(what="z"))
    tally.add(MetadataFetched(name="a", version="1", known_count=1))
    assert tally.waits(4) == [further]
    tally.add(WaitingFinished(what="x"))
    assert tally.waits(4) == []


def test_biggest_transfers_first():
    tally = Tally()
    for filename, size_bytes in (
        ("small.whl", 10),
        ("unknown.whl", None),
        ("big.whl", 1_000),
        ("mid.whl", 100),
    ):
        tally.add(DownloadStarted(filename=filename, size_bytes=size_bytes))
    assert [transfer.filename for transfer in tally.biggest_transfers(3)] == [
        "big.whl",
        "mid.whl",
        "small.whl",
    ]


def test_a_resolution_alone_says_nothing_in_a_pipe(capsys):
    with open_reporter(Output({})) as reporter:
        reporter.report(ResolutionStarted(target="a"))
        reporter.report(ResolutionFinished(target="a", package_count=3))
    assert capsys.readouterr() == ("", "")


def test_a_sign_of_life_in_a_long_download(capsys, monkeypatch):
    with open_reporter(Output({})) as reporter:
        reporter.report(FetchPlanned(file_count=3, size_bytes=10_000))
        reporter.report(DownloadStarted(filename="a.whl", size_bytes=10_000))
        reporter._last_sign_s -= 31
        reporter.report(DownloadProgressed(filename="a.whl", received_bytes=4_000))
        reporter.report(DownloadProgressed(filename="a.whl", received_bytes=1_000))
        reporter.report(Warned(message="late"))
    assert capsys.readouterr().err.splitlines() == [
        "Downloading 3 files (10 kB)",
        "Downloading: 0 of 3 files, 4.0 kB of 10 kB",
        "warning: late",
    ]


def test_a_prefix_and_its_link_scripts_are_told(capsys):
    with open_reporter(Output({})) as reporter:
        reporter.report(PrefixStarted(package_count=2, size_bytes=10))
        reporter.report(FetchPlanned(file_count=1, size_bytes=5))
        reporter.report(DownloadFinished(filename="tool-1.0-0.conda"))
        assert reporter.tally.linking == 2
        reporter.report(LinkScriptRun(package="tool"))
        reporter.report(PrefixFinished(package_count=2, duration_s=1.5))
        assert reporter.tally.linking == 0
        assert reporter.tally.stored_files == reporter.tally.planned_files
    said = capsys.readouterr().err.splitlines()
    assert said[-2:] == [
        "Ran the link script of tool, as link-scripts allows",
        "Installed 2 conda packages in 1.5 s",
    ]
