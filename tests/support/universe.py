"""A universe of packages held in memory: the resolver is pure, its facts may come from anywhere."""

from __future__ import annotations

from typing import Any

from envforge.errors import BuildError, MetadataError, UnknownPackageError
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import parse_requirement, parse_version


class UniversePage:
    def __init__(self, name: str, releases: dict[str, dict[str, Any]]) -> None:
        self.name = name
        self.index = "universe"
        self._releases = releases
        self.versions = sorted(releases, key=parse_version, reverse=True)

    def files(self, version: str) -> list[IndexFile]:
        release = self._releases[version]
        tags = release.get("wheels", [] if release.get("sdist") else ["py3-none-any"])
        underscored = self.name.replace("-", "_")
        names = [f"{underscored}-{version}-{tag}.whl" for tag in tags]
        if release.get("sdist"):
            names.append(f"{underscored}-{version}.tar.gz")
        return [
            IndexFile(
                filename=name,
                url=f"https://index.test/{name}",
                index="universe",
                sha256="0" * 64,
                requires_python=release.get("requires-python", ""),
                yanked=release.get("yanked"),
            )
            for name in names
        ]


class Universe:
    """A small universe of packages as a source of facts.

    Args:
        packages: name → version → what the release has: ``requires`` (texts), ``wheels`` (tags,
            ``["py3-none-any"]`` by default), ``sdist``, ``requires-python``, ``yanked``,
            ``metadata-requires-python``, ``broken-metadata``, ``broken-build``.
    """

    def __init__(self, packages: dict[str, dict[str, dict[str, Any]]]) -> None:
        self._packages = packages

    def page(self, name: str) -> UniversePage:
        if name not in self._packages:
            raise UnknownPackageError(f"no index has a project named {name!r}")
        return UniversePage(name, self._packages[name])

    def metadata(self, file: IndexFile) -> CoreMetadata:
        name, version = file.filename.removesuffix(".tar.gz").split("-")[:2]
        release = self._packages[normalize_name(name)][version]
        if "broken-build" in release:
            raise BuildError(release["broken-build"])
        if "broken-metadata" in release:
            raise MetadataError(release["broken-metadata"])
        return CoreMetadata(
            name=name,
            version=version,
            requires_python=release.get("metadata-requires-python", ""),
            requires=tuple(parse_requirement(text) for text in release.get("requires", [])),
        )
