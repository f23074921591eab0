"""The command line: arguments, one thin file per command, reporters, rendering of errors.

This file is imported by every start of ``envforge``, and imports nothing: what a command needs is
imported when it is known which command it is.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: list[str] | None = None) -> int:
    """Run one command line; the entry point of the ``envforge`` script.

    Args:
        argv: without the program's name; None for the process's own, which ends with it.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 nobody reads the output.
    """
    status = _run(sys.argv[1:] if argv is None else argv, is_process=argv is None)
    if argv is None and ("rattler" in sys.modules or not (_has_threads() or sys.getprofile())):
        _leave(status)
    return status


def _run(words: list[str], *, is_process: bool) -> int:
    try:
        if words[:1] in (["sync"], ["lock"]) and _is_answered(words):
            return 0
        from envforge.cli.program import run_command_line

        if is_process:
            import gc

            # A short process: to look for cycles in what it allocates takes a tenth of a lock.
            gc.disable()
        return run_command_line(words)
    except KeyboardInterrupt:
        import signal

        # A second Ctrl-C, while threads are being joined, ends the process at once and without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if sys.stderr is not None:  # closed by the one who started us
            sys.stderr.write("interrupted\n")
        return 130


def _has_threads() -> bool:
    """Whether threads are at work that the interpreter would wait for."""
    threading = sys.modules.get("threading")
    return threading is not None and any(
        thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()
    )


def _leave(status: int) -> NoReturn:
    """End the process without taking the interpreter down first, as mypy does.

    To free every object one by one takes 8 ms where 20 ms were worked. And py-rattler's threads may still be
    letting go of Python objects then: 3 of 50 processes that had installed or solved something died of a
    segmentation fault after all was done (PyO3/pyo3-async-runtimes#40).
    """
    import atexit
    import os

    atexit._run_exitfuncs()  # temporary folders that threads left behind have to be removed all the same
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed by the one who started us, or by us
            continue
    os._exit(status)


def _is_answered(words: list[str]) -> bool:
    """The fast path: a sync or lock with nothing to do is answered before argparse is imported."""
    from envforge.cli.unchanged import answer_unchanged

    try:
        return answer_unchanged(words)
    except OSError:  # the way of all other commands tells what is wrong
        return False
