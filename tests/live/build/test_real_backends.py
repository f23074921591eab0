"""The build backends that projects really use, from pypi.org."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from envforge.build.backend import (
    BuildEnvironment,
    BuildJob,
    build_editable,
    build_wheel,
    get_requires,
    prepare_metadata,
)
from envforge.build.editable import editable_fingerprint
from envforge.build.sdist import unpack_sdist
from envforge.build.source import read_build_system
from envforge.errors import BuildError

BACKENDS = {
    "hatchling": "hatchling.build",
    "setuptools": "setuptools.build_meta",
    "flit_core": "flit_core.buildapi",
    "pdm-backend": "pdm.backend",
    "poetry-core": "poetry.core.masonry.api",
}


@pytest.fixture(scope="session")
def python_with_backends(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("backends") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    packages = [*BACKENDS, "editables"]
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--upgrade",
        "--quiet",
        "--disable-pip-version-check",
        *packages,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"the backends cannot be installed from PyPI: {done.stderr.strip()[-200:]}")
    return python


def make_project(folder: Path, package: str, backend: str) -> Path:
    (folder / "src" / "live_app").mkdir(parents=True)
    (folder / "src" / "live_app" / "__init__.py").write_text(
        "answer = 42\n\ndef main():\n    print(answer)\n"
    )
    (folder / "pyproject.toml").write_text(
        textwrap.dedent(
            f"""
            [build-system]
            requires = ["{package}"]
            build-backend = "{backend}"

            [project]
            name = "live-app"
            version = "1.2.3"
            description = "made by a test"
            scripts = {{ live-app = "live_app:main" }}
            """
        )
    )
    return folder


def job_for(source: Path, python: str, folder: Path) -> BuildJob:
    environment = BuildEnvironment(python=python, env=os.environ)
    return BuildJob(
        name=source.name,
        what=source.name,
        source=source,
        environment=environment,
        log_path=folder / "log",
        timeout_s=120,
    )


@pytest.mark.parametrize(("package", "backend"), BACKENDS.items())
def test_a_project_is_built_both_ways(
    tmp_path: Path, python_with_backends: str, package: str, backend: str
) -> None:
    source = make_project(tmp_path / "app", package, backend)
    job = job_for(source, python_with_backends, tmp_path)
    assert read_build_system(source).backend == backend
    for kind in ("wheel", "editable"):
        assert isinstance(get_requires(kind, job), tuple)  # type: ignore[arg-type]
    metadata = prepare_metadata("editable", job, tmp_path / "metadata")
    assert "Name: live-app" in (metadata / "METADATA").read_text()
    build_wheel(job, tmp_path / "wheel", name="live-app", version="1.2.3")
    fingerprint = editable_fingerprint(source)
    wheel = build_editable(job, tmp_path / "editable", name="live-app", version="1.2.3")
    assert editable_fingerprint(source) == fingerprint, "a build must not make itself out of date"
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    code = f"import site; site.addsitedir({str(site)!r}); import live_app; print(live_app.__file__)"
    done = subprocess.run([python_with_backends, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(source / "src" / "live_app" / "__init__.py")


def test_a_project_with_nothing_but_setup_py(tmp_path: Path, python_with_backends: str) -> None:
    source = tmp_path / "old"
    source.mkdir()
    (source / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='old', version='0.1', py_modules=['old'])\n"
    )
    (source / "old.py").write_text("")
    job = job_for(source, python_with_backends, tmp_path)
    assert build_editable(job, tmp_path / "out", name="old").exists()


def test_a_mistake_in_the_project_is_explained(tmp_path: Path, python_with_backends: str) -> None:
    source = make_project(tmp_path / "app", "hatchling", "hatchling.build")
    text = (source / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(text.replace('version = "1.2.3"', 'version = "not a version"'))
    job = job_for(source, python_with_backends, tmp_path)
    with pytest.raises(BuildError) as caught:
        build_editable(job, tmp_path / "out", name="live-app")
    assert "not a version" in "\n".join(caught.value.context)


def test_a_real_sdist(tmp_path: Path, python_with_backends: str) -> None:
    command = [python_with_backends, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "-d",
        str(tmp_path),
        "flit-core==3.12.0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"the sdist cannot be downloaded from PyPI: {done.stderr.strip()[-200:]}")
    source = unpack_sdist(tmp_path / "flit_core-3.12.0.tar.gz", tmp_path / "out")
    assert read_build_system(source).backend_path  # it builds itself
    job = job_for(source, python_with_backends, tmp_path)
    wheel = build_wheel(job, tmp_path / "wheels", name="flit-core", version="3.12.0")
    assert wheel.name == "flit_core-3.12.0-py3-none-any.whl"
