"""Conda packages that are a PyPI project under another name, and those that are none in spite of theirs.

Gone through by eye against the packages of conda-forge. In doubt a name belongs to ``NOT_ON_PYPI``: then at
worst a project is installed from PyPI too, while a name that is claimed wrongly leaves a project out.
"""

from __future__ import annotations

from collections.abc import Mapping

_OPENCV = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)

PYPI_NAMES: Mapping[str, tuple[str, ...]] = {
    # The same project, in parts: the one with the code is the one that counts.
    "astropy-base": ("astropy",),
    "cupy-core": ("cupy",),
    "cvxpy-base": ("cvxpy",),
    "dask-core": ("dask",),
    "fastapi-core": ("fastapi",),
    "geopandas-base": ("geopandas",),
    "google-cloud-bigquery-core": ("google-cloud-bigquery",),
    "hyperspy-base": ("hyperspy",),
    "jupyterhub-base": ("jupyterhub",),
    "matplotlib-base": ("matplotlib",),
    "mne-base": ("mne",),
    "nbconvert-core": ("nbconvert",),
    "orix-base": ("orix",),
    "pandera-base": ("pandera",),
    "panel-core": ("panel",),
    "py-opencv": _OPENCV,  # with the contributed modules; whether with windows, the build tells
    "py-xgboost": ("xgboost",),
    "pyarrow-core": ("pyarrow",),
    "pymc-base": ("pymc",),
    "pyside6": ("pyside6", "pyside6-addons", "pyside6-essentials", "shiboken6"),
    "pystac-core": ("pystac",),
    "pytensor-base": ("pytensor",),
    "python-lsp-server-base": ("python-lsp-server",),
    "qtconsole-base": ("qtconsole",),
    "ray-core": ("ray",),
    "rosettasciio-base": ("rosettasciio",),
    "seaborn-base": ("seaborn",),
    "sentencepiece-python": ("sentencepiece",),
    "tensorflow-base": ("tensorflow",),
    "vtk-base": ("vtk",),
    # Another name, because conda had the plain one for a library or a program.
    "antlr-python-runtime": ("antlr4-python3-runtime",),
    "bipedal-locomotion-framework-python": ("bipedal-locomotion-framework",),
    "brotli-python": ("brotli",),
    "coal-python": ("coal",),
    "docker-py": ("docker",),
    "faiss": ("faiss-cpu",),
    "groovy-python": ("groovy",),
    "gurobi": ("gurobipy",),
    "h2o-py": ("h2o",),
    "h3-py": ("h3",),
    "hjson-py": ("hjson",),
    "idyntree-python": ("idyntree",),
    "ignite": ("pytorch-ignite",),
    "meshcat-python": ("meshcat",),
    "msgpack-python": ("msgpack",),
    "mujoco-python": ("mujoco",),
    "openusd": ("usd-core",),
    "pinocchio": ("pin",),
    "pinocchio-python": ("pin",),
    "py-lief": ("lief",),
    "py-triangle": ("triangle",),
    "pyg": ("torch-geometric",),
    "pyglfw": ("glfw",),
    "pyqt": ("pyqt5",),
    "pysoundfile": ("soundfile",),
    "pytables": ("tables",),
    "python-annoy": ("annoy",),
    "python-blosc": ("blosc",),
    "python-blosc2": ("blosc2",),
    "python-build": ("build",),
    "python-cityhash": ("cityhash",),
    "python-clang": ("clang",),
    "python-confluent-kafka": ("confluent-kafka",),
    "python-devtools": ("devtools",),
    "python-duckdb": ("duckdb",),
    "python-eccodes": ("eccodes",),
    "python-fastjsonschema": ("fastjsonschema",),
    "python-flatbuffers": ("flatbuffers",),
    "python-gmsh": ("gmsh",),
    "python-graphviz": ("graphviz",),
    "python-gssapi": ("gssapi",),
    "python-hdfs": ("hdfs",),
    "python-igraph": ("igraph", "python-igraph"),
    "python-installer": ("installer",),
    "python-isal": ("isal",),
    "python-kaleido": ("kaleido",),
    "python-kubernetes": ("kubernetes",),
    "python-libarchive-c": ("libarchive-c",),
    "python-librt": ("librt",),
    "python-lmdb": ("lmdb",),
    "python-moocore": ("moocore",),
    "python-mss": ("mss",),
    "python-neo": ("neo",),
    "python-pdal": ("pdal",),
    "python-sounddevice": ("sounddevice",),
    "python-symengine": ("symengine",),
    "python-tzdata": ("tzdata",),
    "python-wget": ("wget",),
    "python-xxhash": ("xxhash",),
    "python-yakh": ("yakh",),
    "python-zlib-ng": ("zlib-ng",),
    "pytorch": ("torch",),
    "pytorch_cluster": ("torch-cluster",),
    "pytorch_geometric": ("torch-geometric",),
    "pytorch_scatter": ("torch-scatter",),
    "pytorch_sparse": ("torch-sparse",),
    "pytorch_spline_conv": ("torch-spline-conv",),
    "qdldl-python": ("qdldl",),
    "qscintilla2": ("qscintilla",),
    "quaternion": ("numpy-quaternion",),
    "redis-py": ("redis",),
    "soxr-python": ("soxr",),
    "tblite-python": ("tblite",),
    "tiledb-py": ("tiledb",),
}
"""conda name → normalized PyPI names, sorted."""

PYPI_NAMES_BY_DEPENDENCY: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("pyqt", "pyqt6-sip"): ("pyqt6",),
}
"""(conda name, name of a package that it depends on) → normalized PyPI names; before ``PYPI_NAMES``."""

NOT_ON_PYPI: frozenset[str] = frozenset(
    [
        # Python itself and what goes with it.
        "_python_abi3_support", "cpython", "python", "python-abi3", "python-freethreading", "python-gil",
        "python_abi",
        # Programs and libraries that need Python, or bring bindings beside themselves.
        "arrow-cpp", "boost", "bullet", "bullet-cpp", "coal", "conda", "constructor", "cppcheck",
        "cudatoolkit-dev", "emscripten", "eon", "gdb", "glib", "guardian", "libboost-python",
        "libboost-python-devel",
        "libglib", "libgz-msgs10", "libgz-sim8", "libignition-math6", "libode", "libopencv", "librealsense",
        "libtorch", "lldb", "mamba", "mupdf", "opencv",
        "qgis", "root", "root_base", "vim",
        # Names for the sake of conda: a namespace, a variant, an extra.
        "backports", "google-api-core-grpc", "jsonschema-with-format-nongpl", "mlflow-ui",
        "nbconvert-pandoc", "pytorch-cpu", "pytorch-gpu", "ruamel", "tensorflow-cpu", "tensorflow-gpu",
        "uvicorn-standard", "vtk-io-ffmpeg",
        # conda's own copy of ruamel.yaml, under another module name.
        "ruamel_yaml",
    ]
)  # fmt: skip
"""Conda names of packages that need Python and are not the PyPI project of that name."""
