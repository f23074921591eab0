"""The answer to ``sync`` and ``lock`` where nothing has changed, before anything heavy is imported."""

from __future__ import annotations

import os
import sys

_PLAIN = {"-q", "--quiet", "--frozen", "--offline", "--ignore-host"}
"""Options that change nothing where there is nothing to do."""


_ANSWERS = {"sync": "Environment is up to date\n", "lock": "Lock is up to date\n"}


def answer_unchanged(words: list[str]) -> bool:
    """Answer a command line if it is a plain ``sync`` or ``lock`` in a project that is up to date.

    Args:
        words: the command line without the program's name.

    Returns:
        Whether it was answered.
    """
    if not words or words[0] not in _ANSWERS or not _PLAIN.issuperset(words[1:]):
        return False
    if words[0] == "lock" and {"--frozen", "--ignore-host"} & set(words):
        return False  # lock has no such options, and will say so
    if not _is_unchanged(words[0], _project_root()):
        return False
    if sys.stderr is not None and "-q" not in words and "--quiet" not in words:
        sys.stderr.write(_ANSWERS[words[0]])
    return True


def _is_unchanged(command: str, root: str) -> bool:
    from envforge.workflows.stamp import find_stamped

    if find_stamped(root, os.environ):
        return True
    if command == "sync":
        return False
    from envforge.workflows.checked import is_checked

    return is_checked(root, os.environ)


def _project_root() -> str:
    folder = os.getcwd()
    while not os.path.exists(f"{folder}/pyproject.toml"):
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return folder
