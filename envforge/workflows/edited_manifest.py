"""The manifest that ``add`` and ``remove`` edit: the project's, or that of a member of its workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envforge.errors import EnvforgeError
from envforge.workflows.project import (
    MANIFEST_NAME,
    Project,
    project_from_text,
    read_project,
    read_text,
    write_text,
)


class EditedManifest:
    """A manifest while it is edited, and what it said before.

    The project's own is resolved in memory and written when all is well. A member's is read where it stands,
    by the resolution and by its build: it is written first.

    Args:
        root: folder of the project, or workspace.
        member: path of the member whose manifest it is, from there; ``""`` for the project's.

    Raises:
        ManifestError: it cannot be read.
    """

    def __init__(self, root: Path, member: str) -> None:
        self.member = member
        self.path = root / member / MANIFEST_NAME
        self.text = read_text(self.path)
        self._root = root
        self._written = self.text

    @property
    def shown_path(self) -> str:
        """From the project's folder, ``packages/a/pyproject.toml``."""
        return self.path.relative_to(self._root).as_posix()

    def project_saying(self, text: str) -> Project:
        """The project whose manifest says ``text``.

        Raises:
            ManifestError: it is wrong.
            StoreError: a member's cannot be written.
        """
        if not self.member:
            return project_from_text(self._root, text)
        self.write(text)
        return read_project(self._root)

    def write(self, text: str) -> None:
        """Write it, unless it says so already.

        Raises:
            StoreError: the folder cannot be written.
        """
        if text != self._written:
            write_text(self.path, text)
            self._written = text

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """It says what it said before, where the block fails."""
        try:
            yield
        except BaseException:
            restore(self.path, self.text)
            raise


def restore(path: Path, text: str) -> None:
    """Bring back what a file said; "" for one that did not exist. The failure before is what is told."""
    with suppress(EnvforgeError, OSError):
        if not text:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != text.encode():
            write_text(path, text)
