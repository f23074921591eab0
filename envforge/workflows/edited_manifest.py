"""The manifest that ``add`` and ``remove`` edit: the project's, or that of a member of its workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envforge.errors import EnvforgeError
from envforge.manifest.folders import FolderManifest, parse_folder
from envforge.manifest.parse import parse_manifest
from envforge.workflows.project import Project, project_from_text, read_text, write_text
from envforge.workflows.project_root import MANIFEST_NAME


class RewrittenFile:
    """A file that gets another text, and its own again where what follows fails.

    Args:
        path: of the file.
        text: what it says, None where it is not there.
    """

    def __init__(self, path: Path, text: str | None) -> None:
        self.path = path
        self._text = text
        self._written: str | None = None

    def write(self, text: str) -> None:
        """Replace it, unless it says so already.

        Raises:
            StoreError: the folder cannot be written.
        """
        if text != (self._text if self._written is None else self._written):
            write_text(self.path, text)
            self._written = text

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """What was written is taken back where the block fails, unless somebody has written since."""
        try:
            yield
        except BaseException:
            with suppress(EnvforgeError, OSError):  # the failure is what is told
                if self._written is not None and self.path.read_bytes() == self._written.encode():
                    self._take_back()
            raise

    def _take_back(self) -> None:
        if self._text is None:
            self.path.unlink()
        else:
            write_text(self.path, self._text)


class EditedManifest(RewrittenFile):
    """A manifest while it is edited.

    Args:
        root: folder of the project, or workspace.
        member: path of the member whose manifest it is, from there; ``""`` for the project's.

    Attributes:
        text: what it says before.

    Raises:
        ManifestError: it cannot be read.
    """

    def __init__(self, root: Path, member: str) -> None:
        path = root / member / MANIFEST_NAME
        self.text = read_text(path)
        self._root = root
        self._member = member
        super().__init__(path, self.text)

    @property
    def shown_path(self) -> str:
        """From the project's folder, ``packages/a/pyproject.toml``."""
        return self.path.relative_to(self._root).as_posix()

    def check(self, text: str, path: str) -> None:
        """Look whether it may say ``text``.

        Raises:
            ManifestError: it may not.
        """
        if self._member:
            parse_folder(text, f"./{self._member}")
        else:
            parse_manifest(text, path)

    def project_saying(self, text: str) -> Project:
        """The project whose manifest says ``text``, whatever is on disk.

        Raises:
            ManifestError: it is wrong.
        """
        if not self._member:
            return project_from_text(self._root, text)
        root_text = read_text(self._root / MANIFEST_NAME)
        return project_from_text(self._root, root_text, {f"./{self._member}": text})

    def is_built(self, project: Project) -> bool:
        """Whether a build reads it where it stands."""
        if not self._member:
            return project.manifest.has_build_system
        return self._in(project).has_build_system

    def is_asked(self, project: Project) -> bool:
        """Whether a resolution has a build tell what the project requires."""
        return bool(self._member) and not self._in(project).is_static

    def _in(self, project: Project) -> FolderManifest:
        return project.manifest.members[f"./{self._member}"]
