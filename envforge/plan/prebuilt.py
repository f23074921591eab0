"""Where a wheel that somebody has built already would lie: a pattern of URLs, filled for one target.

Projects that are compiled against torch often have only an sdist on PyPI, and put wheels for some
combinations on a page of releases, which is no index. Nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from envforge.manifest.build_settings import PLACEHOLDER
from envforge.metadata.torch_builds import TORCH, TorchBuild, build_of_torch
from envforge.metadata.versions import is_release, version_of
from envforge.model.markers import holding_requirements
from envforge.model.release import CoreMetadata, IndexFile, best_wheel
from envforge.model.requirement import specifier_admits
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.tags import wheel_ranks
from envforge.model.target import PLATFORMS, Target


def fill_pattern(pattern: str, pin: Pin, resolution: TargetResolution) -> IndexFile | str:
    """The file that a pattern names for a target, or why it names none.

    Args:
        pattern: URL with the placeholders of :data:`envforge.manifest.build_settings.PLACEHOLDERS`.
        pin: what it is a wheel of.
        resolution: of the target.
    """
    values = {"version": pin.version, **_target_values(resolution.target), **_torch_values(resolution)}
    lacking = [name for name in PLACEHOLDER.findall(pattern) if not values.get(name)]
    if lacking:
        return f"{{{lacking[0]}}} is not known for {resolution.target.id}"
    url = PLACEHOLDER.sub(lambda found: values[found[1]], pattern)
    filename = unquote(url.rpartition("/")[2])
    file = IndexFile(filename=filename, url=url, index=pin.file.index)
    version = version_of(filename, pin.name)
    if version is None or not is_release(version, pin.version):
        return f"{filename} is no wheel of {pin.name} {pin.version} by its name"
    if best_wheel([file], wheel_ranks(resolution.target)) is None:
        return f"{filename} is not for {resolution.target.id}"
    return file


def find_contradiction(metadata: CoreMetadata, pin: Pin, resolution: TargetResolution) -> str:
    """What a wheel requires that is not what is locked with it, ``""`` for nothing."""
    from_conda = {name for record in resolution.conda for name in record.pypi_names}
    for requirement in holding_requirements(metadata.requires, resolution.target, pin.extras):
        if requirement.name in from_conda or requirement.name == pin.name:
            continue
        locked = resolution.pins.get(requirement.name)
        if locked is None:
            return f"it requires {requirement}, which its sdist does not"
        if not specifier_admits(requirement.specifier, locked.version):
            return f"it requires {requirement}, and {locked.version} is locked"
    return ""


def _target_values(target: Target) -> Mapping[str, str]:
    platform = PLATFORMS[target.platform]
    minor = target.python_minor.replace(".", "")
    names = {"linux": f"linux_{platform.wheel_arch}", "win32": platform.wheel_arch}
    return {
        "python": f"cp{minor}",
        "platform": names.get(platform.sys_platform, ""),
        "arch": platform.platform_machine,
    }


def _torch_values(resolution: TargetResolution) -> Mapping[str, str]:
    """What is known of the torch that is locked, nothing where it does not come from PyPI."""
    torch = resolution.pins.get(TORCH)
    if torch is None:
        return {}
    requires = holding_requirements(torch.metadata.requires, resolution.target, torch.extras)
    build = build_of_torch(torch.version, requires, resolution.target.platform)
    return {
        "torch": build.release,
        "cuda": build.cuda_label,
        "cuda-major": TorchBuild(cuda=(build.cuda or ())[:1]).cuda_label,
        "abi": "" if build.new_abi is None else str(build.new_abi).upper(),
    }
