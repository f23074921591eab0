"""Builds with the real toolchains of PyPI: legacy setup.py, C extensions, meson, CMake, another's headers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.errors import NetworkError
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.distributions import make_sdist, project_tables
from support.projects import Project
from support.simple_index import SimpleIndex

PYPI = "https://pypi.org/simple"
BUILD_S = 300

pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("cc"), reason="there is no C compiler")


@pytest.fixture
def own() -> Iterator[SimpleIndex]:
    with SimpleIndex() as index:
        yield index


@pytest.fixture
def project(tmp_path: Path, own: SimpleIndex) -> Project:
    try:
        HttpClient(NetworkSettings(retries=2, timeout_s=20)).get(f"{PYPI}/hydra-core/")
    except NetworkError as error:
        pytest.skip(f"pypi.org cannot be reached: {error.message}")
    return Project(tmp_path, PYPI)


def own_index(index: SimpleIndex) -> str:
    return f'[[tool.envforge.index]]\nname = "own"\nurl = "{index.url}"'


def builds(project: Project) -> int:
    """How many builds this store remembers."""
    return len(list((project.tier / "builds").glob("*.json")))


def test_hydra_and_its_parser(project: Project) -> None:
    """antlr4-python3-runtime has only an sdist in the version that hydra 1.1 pins, with a setup.py alone."""
    project.write("hydra-core==1.1.2", settings='platforms = ["linux-64", "osx-arm64"]')
    told = project.done("lock", timeout_s=BUILD_S).err
    assert project.locked["antlr4-python3-runtime"] == "4.8"
    assert "taken for osx-arm64 too" in told
    project.done("sync", timeout_s=BUILD_S)
    # hydra 1.1 itself does not run on newer Pythons; its parser has to be there
    assert project.python("import antlr4; print(antlr4.Token.EOF)") == "-1"
    before = builds(project)
    project.done("sync", "--offline")
    shutil.rmtree(project.tier / "envs")
    project.done("sync", "--offline")
    assert builds(project) == before == 1


def test_an_extension_in_c(project: Project) -> None:
    project.write("markupsafe==3.0.2", settings='no-binary = ["markupsafe"]')
    project.done("sync", timeout_s=BUILD_S)
    found = project.python("import markupsafe._speedups as speed; print(speed.__file__)")
    assert found.endswith(".so")


MESON = {
    "pyproject.toml": project_tables("mesoned", "1.0")
    + '[build-system]\nrequires = ["meson-python", "ninja"]\nbuild-backend = "mesonpy"\n',
    "meson.build": "project('mesoned', 'c', version: '1.0')\n"
    "py = import('python').find_installation(pure: false)\n"
    "py.extension_module('mesoned', 'module.c', install: true)\n",
    "module.c": "#include <Python.h>\n"
    'static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "mesoned", 0, -1, 0};\n'
    "PyMODINIT_FUNC PyInit_mesoned(void) { return PyModule_Create(&def); }\n",
}
SCIKIT = {
    "pyproject.toml": project_tables("scikited", "1.0")
    + '[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n',
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.15)\nproject(scikited LANGUAGES C)\n"
    "find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)\n"
    "Python_add_library(scikited MODULE module.c WITH_SOABI)\n"
    "install(TARGETS scikited DESTINATION .)\n",
    "module.c": MESON["module.c"].replace("mesoned", "scikited"),
}


def rust_home() -> dict[str, str]:
    """Where rustup keeps its toolchain: tests have another home."""
    places = {"RUSTUP_HOME": ".rustup", "CARGO_HOME": ".cargo"}
    return {name: os.environ.get(name, str(Path.home() / folder)) for name, folder in places.items()}


@pytest.mark.skipif(not shutil.which("cargo"), reason="there is no Rust")
def test_a_program_in_rust(project: Project, own: SimpleIndex) -> None:
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: rusted\nVersion: 1.0\n",  # maturin asks cargo
        "pyproject.toml": '[build-system]\nrequires = ["maturin>=1,<2"]\nbuild-backend = "maturin"\n'
        '[tool.maturin]\nbindings = "bin"\n',
        "Cargo.toml": '[package]\nname = "rusted"\nversion = "1.0.0"\nedition = "2021"\n',
        "src/main.rs": 'fn main() { println!("rusted"); }\n',
    }
    own.add(make_sdist("rusted", files=files))
    project.variables.update(rust_home())
    project.write("rusted", tables=own_index(own))
    project.done("sync", timeout_s=BUILD_S)
    assert project.done("run", "rusted").out == "rusted\n"


@pytest.mark.parametrize(("name", "files"), [("mesoned", MESON), ("scikited", SCIKIT)])
def test_other_toolchains(project: Project, own: SimpleIndex, name: str, files: dict[str, str]) -> None:
    own.add(make_sdist(name, files=files))
    project.write(name, tables=own_index(own))
    project.done("sync", timeout_s=BUILD_S)
    assert project.python(f"import {name}; print({name}.__file__)").endswith(".so")


def test_an_extension_is_built_again_exactly_when_the_headers_move(
    project: Project, own: SimpleIndex
) -> None:
    files = {
        "pyproject.toml": project_tables("headed", "1.0", ["numpy"])
        + '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        "setup.py": "import numpy\nfrom setuptools import Extension, setup\n"
        "setup(ext_modules=[Extension('headed', ['module.c'], include_dirs=[numpy.get_include()],\n"
        "    define_macros=[('BUILT_WITH', '\"' + numpy.__version__ + '\"')])])\n",
        "module.c": "#include <Python.h>\n#include <numpy/arrayobject.h>\n"
        'static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "headed", 0, -1, 0};\n'
        "PyMODINIT_FUNC PyInit_headed(void) {\n"
        "    import_array();\n    PyObject *module = PyModule_Create(&def);\n"
        '    PyModule_AddStringConstant(module, "built_with", BUILT_WITH);\n    return module;\n}\n',
    }
    own.add(make_sdist("headed", requires=["numpy"], files=files))
    tables = own_index(own) + '\n[tool.envforge.build.headed]\nwith = ["numpy"]'
    code = "import headed; print(headed.built_with)"
    for version, count in (("2.2.4", 1), ("2.2.5", 2), ("2.2.4", 2)):
        project.write("headed", f"numpy=={version}", tables=tables)
        project.done("sync", timeout_s=BUILD_S)
        assert project.python(code) == version
        assert builds(project) == count
    project.write("headed", "numpy==2.2.4", "six", tables=tables)
    project.done("sync", timeout_s=BUILD_S)
    assert builds(project) == 2
