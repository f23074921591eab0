from __future__ import annotations

import pytest

from envforge.metadata.conda_name_exceptions import NOT_ON_PYPI, PYPI_NAMES, PYPI_NAMES_BY_DEPENDENCY
from envforge.metadata.conda_names import is_python_package, other_conda_names, pypi_names_of
from envforge.model.names import normalize_name

COMPILED = ["libgcc >=13", "python >=3.12,<3.13.0a0", "python_abi 3.12.* *_cp312"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("numpy", ["numpy"]),
        ("zope.interface", ["zope-interface"]),
        ("huggingface_hub", ["huggingface-hub"]),
        ("pytorch", ["torch"]),
        ("matplotlib-base", ["matplotlib"]),
        ("matplotlib", ["matplotlib"]),
        ("msgpack-python", ["msgpack"]),
        ("pytables", ["tables"]),
        ("python-build", ["build"]),
        ("pinocchio", ["pin"]),
        ("lz4", ["lz4"]),
        ("pip", ["pip"]),
        ("python", []),
        ("libtorch", []),
        ("mamba", []),
        ("opencv", []),
        ("ruamel_yaml", []),
        ("ruamel.yaml", ["ruamel-yaml"]),
        ("_private", []),
    ],
)
def test_a_compiled_python_package(name: str, expected: list[str]) -> None:
    assert list(pypi_names_of(name, "", COMPILED)) == expected


@pytest.mark.parametrize(
    "name", ["ninja", "cmake", "ffmpeg", "tk", "sqlite", "zstd", "snappy", "brotli", "graphviz"]
)
def test_what_does_not_need_python_is_no_project(name: str) -> None:
    assert pypi_names_of(name, "", ["libgcc >=13", "libpython-clang", "pythonic"]) == ()
    assert pypi_names_of(name, "generic", []) == ()


def test_a_metapackage_is_no_project() -> None:
    assert pypi_names_of("pytorch-gpu", "", ["pytorch 2.5.1 cuda*"]) == ()
    assert pypi_names_of("pytorch-gpu", "", ["pytorch 2.5.1 cuda*", "python"]) == ()


@pytest.mark.parametrize("depends", [["python"], ["python>=3"], ["python_abi 3.9.* *_cp39"], ["python-gil"]])
def test_python_is_found_among_dependencies(depends: list[str]) -> None:
    assert is_python_package("", depends)
    assert is_python_package("python", [])
    assert not is_python_package("generic", ["python-build"])


def test_opencv_is_all_its_distributions() -> None:
    assert "opencv-python-headless" in pypi_names_of("py-opencv", "", COMPILED)


def test_pyqt_by_what_it_depends_on() -> None:
    assert pypi_names_of("pyqt", "", ["pyqt5-sip 12.17.0", *COMPILED]) == ("pyqt5",)
    assert pypi_names_of("pyqt", "", ["pyqt6-sip 13.10.0", *COMPILED]) == ("pyqt6",)


@pytest.mark.parametrize(
    ("purls", "expected"),
    [
        (["pkg:pypi/Foo.Bar@1.0"], ["foo-bar"]),
        (["pkg:pypi/b?source=x", "pkg:pypi/a"], ["a", "b"]),
        (["pkg:conda/x@1"], ["numpy"]),
        (["pkg:pypi/a%2Db"], ["a-b"]),
    ],
)
def test_purls_come_before_names(purls: list[str], expected: list[str]) -> None:
    assert list(pypi_names_of("numpy", "", COMPILED, purls)) == expected


def test_purls_hold_for_what_needs_no_python() -> None:
    assert pypi_names_of("uv", "", [], ["pkg:pypi/uv@0.5"]) == ("uv",)


def test_the_manifest_comes_first() -> None:
    overrides = {"numpy": "My_NumPy", "scipy": "", "uv": "uv"}
    assert pypi_names_of("numpy", "", COMPILED, ["pkg:pypi/numpy"], overrides) == ("my-numpy",)
    assert pypi_names_of("scipy", "", COMPILED, (), overrides) == ()
    assert pypi_names_of("uv", "", (), (), overrides) == ("uv",)


def test_the_way_back() -> None:
    assert other_conda_names("torch") == ("pytorch",)
    assert other_conda_names("matplotlib") == ("matplotlib-base",)
    assert other_conda_names("pyqt6") == ("pyqt",)
    assert other_conda_names("numpy") == ()
    assert other_conda_names("torch", {"my-torch": "Torch", "none": ""}) == ("my-torch", "pytorch")


def test_the_table_is_sane() -> None:
    for names in (*PYPI_NAMES.values(), *PYPI_NAMES_BY_DEPENDENCY.values()):
        assert names == tuple(sorted(names))
        assert all(name == normalize_name(name) for name in names)
    assert not PYPI_NAMES.keys() & NOT_ON_PYPI
    said_twice = [name for name, pypi in PYPI_NAMES.items() if pypi == (normalize_name(name),)]
    assert not said_twice
