"""Where things stand in a virtual environment, per platform. All paths relative to its root, ``/``-separated.

Source: the ``venv`` scheme of :mod:`sysconfig`, PEP 405.
"""

from __future__ import annotations

from envforge.model.target import PLATFORMS
from envforge.struct import Struct


class EnvironmentLayout(Struct, frozen=True, kw_only=True):
    """The folders of an environment.

    Args:
        site_packages: ``lib/python3.12/site-packages`` or ``Lib/site-packages``.
        scripts: ``bin`` or ``Scripts``.
        headers: parent of a distribution's headers, ``include/site/python3.12`` or ``Include``.
        windows: whether scripts need launchers and links may need to be junctions.
    """

    site_packages: str
    scripts: str
    headers: str
    windows: bool


def environment_layout(platform: str, python_minor: str) -> EnvironmentLayout:
    """The layout for a conda subdir and a Python such as ``3.12``."""
    if PLATFORMS[platform].sys_platform == "win32":
        return EnvironmentLayout(
            site_packages="Lib/site-packages", scripts="Scripts", headers="Include", windows=True
        )
    return EnvironmentLayout(
        site_packages=f"lib/python{python_minor}/site-packages",
        scripts="bin",
        headers=f"include/site/python{python_minor}",
        windows=False,
    )
