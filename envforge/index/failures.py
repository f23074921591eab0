"""Errors that only indexes have."""

from __future__ import annotations

from envforge.errors import MetadataError
from envforge.model.release import IndexFile


class NeedsBuildError(MetadataError):
    """Only a build can tell what a source distribution requires.

    Args:
        file: the sdist.
    """

    code = "needs-build"

    def __init__(self, file: IndexFile) -> None:
        super().__init__(
            f"{file.filename} has to be built to learn what it requires",
            context=["neither its PKG-INFO (PEP 643) nor its [project] table says it"],
            hints=["use a version that has a wheel for this platform"],
        )
        self.file = file
