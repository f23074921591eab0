from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
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
from envforge.build.hook_process import clean_environment
from envforge.errors import BuildError

MakeJob = Callable[..., BuildJob]


def failure_of(build: Callable[..., object], *arguments: object, **options: object) -> BuildError:
    with pytest.raises(BuildError) as caught:
        build(*arguments, **options)
    return caught.value


def test_a_wheel(make_job: MakeJob, tmp_path: Path) -> None:
    wheel = build_wheel(make_job(), tmp_path / "out", name="in-tree", version="1.0")
    assert wheel == tmp_path / "out" / "in_tree-1.0-py3-none-any.whl"
    assert zipfile.ZipFile(wheel).read("in_tree.py") == b"answer = 42"
    assert os.listdir(tmp_path / "out") == [wheel.name]


def test_an_editable_wheel_is_built_in_the_source(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    wheel = build_editable(job, tmp_path / "out", name="In.Tree")
    assert zipfile.ZipFile(wheel).read("in_tree.pth").decode() == str(job.source)


def test_building_again_replaces_the_wheel(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    first = build_wheel(job, tmp_path / "out", name="in-tree")
    first.write_text("old")
    assert zipfile.is_zipfile(build_wheel(job, tmp_path / "out", name="in-tree"))


def test_settings_reach_the_backend(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    return make(folder, version=config_settings['version'])\n",
        config_settings={"version": "7.0"},
    )
    assert build_wheel(job, tmp_path, name="in-tree").name.startswith("in_tree-7.0-")


def test_requirements_default_to_none(make_job: MakeJob) -> None:
    job = make_job()
    assert get_requires("wheel", job) == ()
    assert get_requires("editable", job) == ()


def test_dynamic_requirements(make_job: MakeJob) -> None:
    job = make_job(
        """
        def get_requires_for_build_wheel(config_settings=None):
            return ["cython>=3"]
        def get_requires_for_build_editable(config_settings=None):
            return ["editables~=0.3; python_version >= '3.8'"]
        """
    )
    assert get_requires("wheel", job) == ("cython>=3",)
    assert get_requires("editable", job) == ("editables~=0.3; python_version >= '3.8'",)


@pytest.mark.parametrize("answer", ["None", "'cython'", "[1]", "['cython >>> 3']", "{}"])
def test_requirements_that_are_none(make_job: MakeJob, answer: str) -> None:
    job = make_job(f"def get_requires_for_build_wheel(config_settings=None): return {answer}\n")
    error = failure_of(get_requires, "wheel", job)
    assert "did not say what building a wheel needs" in error.message


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_metadata_from_a_hook_or_from_a_built_wheel(make_job: MakeJob, tmp_path: Path, kind: str) -> None:
    folder = prepare_metadata(kind, make_job(), tmp_path / "out")  # type: ignore[arg-type]
    assert folder.name == "in_tree-1.0.dist-info"
    assert "Name: in_tree" in (folder / "METADATA").read_text()


@pytest.mark.parametrize("answer", ["'../x.dist-info'", "'absent.dist-info'", "'in_tree'", "None"])
def test_metadata_that_is_not_there(make_job: MakeJob, tmp_path: Path, answer: str) -> None:
    hook = f"def prepare_metadata_for_build_wheel(folder, config_settings=None): return {answer}\n"
    error = failure_of(prepare_metadata, "wheel", make_job(hook), tmp_path / "out")
    assert "there is no METADATA" in error.context[0]


def test_a_backend_that_raises(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            for number in range(100):
                print("step", number)
            raise RuntimeError("the compiler is missing")
        """
    )
    error = failure_of(build_wheel, job, tmp_path / "out", name="in-tree")
    assert error.message == "the build backend of in-tree 1.0 failed to build a wheel"
    assert error.context[0] == "build_wheel: it ended with status 1"
    assert "RuntimeError: the compiler is missing" in error.context[-2]
    assert error.context[-1] == f"whole output: {job.log_path}"
    assert len(error.context) <= 24
    log = job.log_path.read_text()
    assert "step 0" in log
    assert "step 99" in log
    assert os.listdir(tmp_path / "out") == []


def test_only_the_last_hook_is_quoted(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        def get_requires_for_build_wheel(config_settings=None):
            print("from the first hook")
            return []
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            raise SystemExit("from the second hook")
        """
    )
    get_requires("wheel", job)
    error = failure_of(build_wheel, job, tmp_path, name="in-tree")
    assert "from the second hook" in "\n".join(error.context)
    assert "from the first hook" not in "\n".join(error.context)
    assert "from the first hook" in job.log_path.read_text()


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("import numpy_of_nobody.core", "or to with in [tool.envforge.build.in-tree]"),
        ("import numpy_of_nobody.core", "numpy_of_nobody: add the package that has it to build-system"),
        ("import pkg_resources", 'write build-constraints = ["setuptools<82"]'),
        (
            "raise SystemExit(\"No module named 'distutils'\")",
            "distutils: add setuptools to build-system.requires of in-tree",
        ),
        ("raise SystemExit(\"No module named 'cgi'\")", "newer Pythons have no cgi: take a newer in-tree"),
        ("raise SystemExit(\"error: command 'gcc' failed: No such file or directory\")", "needs gcc"),
        ("raise SystemExit('x.c:1:10: fatal error: zlib.h: No such file or directory')", "header zlib.h"),
        ("raise SystemExit('x.cc:1:10: fatal error: Eigen/Core: No such file')", "header Eigen/Core"),
    ],
)
def test_hints_from_the_output(make_job: MakeJob, tmp_path: Path, code: str, hint: str) -> None:
    job = make_job(f"def build_wheel(folder, config_settings=None, metadata_directory=None):\n    {code}\n")
    error = failure_of(build_wheel, job, tmp_path, name="in-tree")
    assert hint in error.hints[0]


def test_garbage_in_the_output_is_shown_as_far_as_it_is_text(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            os.write(1, b"\\xff\\xfe\\x00 garbage\\n" + b"x" * 100000 + b"\\n")
            raise SystemExit(9)
        """
    )
    error = failure_of(build_wheel, job, tmp_path, name="in-tree")
    assert "status 9" in error.context[0]
    assert all(len(line) < 400 for line in error.context)


def test_a_backend_that_hangs(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            import subprocess
            print(subprocess.Popen(["sleep", "300"]).pid, flush=True)
            subprocess.run(["sleep", "300"])
        """,
        timeout_s=1.5,
    )
    start = time.monotonic()
    error = failure_of(build_wheel, job, tmp_path / "out", name="in-tree")
    assert time.monotonic() - start < 20
    assert "it did not end in 1.5 s" in error.context[0]
    assert "more time" in error.hints[0]
    assert_gone(int(job.log_path.read_text().split()[0]))


def test_one_that_ignores_the_polite_signal_is_killed(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envforge.host.process_group._GRACE_S", 0.2)
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            import signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(os.getpid(), flush=True)
            while True:
                time.sleep(1)
        """,
        timeout_s=1.5,
    )
    failure_of(build_wheel, job, tmp_path / "out", name="in-tree")
    assert_gone(int(job.log_path.read_text().split()[0]))


def test_ctrl_c_ends_the_build_and_its_children(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            import subprocess
            child = subprocess.Popen(["sleep", "300"])
            print(os.getpid(), child.pid, flush=True)
            child.wait()
        """
    )
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from envforge.build.backend import BuildEnvironment, BuildJob, build_wheel\n"
        "environment = BuildEnvironment(python=sys.argv[2], env=os.environ)\n"
        "job = BuildJob(name='in-tree', what='in-tree', source=Path(sys.argv[1]),\n"
        "               log_path=Path(sys.argv[3]), environment=environment)\n"
        "build_wheel(job, Path(sys.argv[4]), name='in-tree')\n"
    )
    arguments = [str(job.source), job.environment.python, str(job.log_path), str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
    try:
        pids = wait_for_pids(job.log_path, 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert b"KeyboardInterrupt" in said
    for pid in pids:
        assert_gone(pid)
    assert os.listdir(tmp_path / "out") == []


def wait_for_pids(log_path: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if log_path.exists() and log_path.read_text().endswith("\n"):
            return [int(word) for word in log_path.read_text().split()][:count]
        time.sleep(0.02)
    raise AssertionError("the backend did not start")


def assert_gone(pid: int) -> None:
    """The process has ended; nobody may have collected it yet."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} survived")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("return 'in_tree-1.0-py3-none-any.whl'", "but made nothing"),
        ("make(folder); return 'other-1.0-py3-none-any.whl'", "but made in_tree-1.0-py3-none-any.whl"),
        ("return make(folder, name='other')", "is of other by its file name, not of in-tree"),
        ("return make(folder, version='2.0')", "is version 2.0 by its file name, not 1.0"),
        (
            "return make(folder, name='other', filename='in_tree-1.0-py3-none-any.whl')",
            "is of other by its METADATA",
        ),
        (
            "return make(folder, version='2.0', filename='in_tree-1.0-py3-none-any.whl')",
            "is version 2.0 by its METADATA",
        ),
        ("return make(folder, filename='in_tree.whl')", "Invalid wheel filename"),
        ("return '../' + make(os.path.join(folder, '..'))", "no wheel's file name"),
        ("make(folder); return os.path.join(folder, 'in_tree-1.0-py3-none-any.whl')", "no wheel's file name"),
        ("make(folder); return None", "no wheel's file name"),
        ("make(folder); return 42", "no wheel's file name"),
        (
            "open(os.path.join(folder, 'in_tree-1.0-py3-none-any.whl'), 'w').close(); "
            "return 'in_tree-1.0-py3-none-any.whl'",
            "is no wheel",
        ),
        (
            "os.mkdir(os.path.join(folder, 'in_tree-1.0-py3-none-any.whl')); "
            "return 'in_tree-1.0-py3-none-any.whl'",
            "but made",
        ),
        (
            "zipfile.ZipFile(os.path.join(folder, 'in_tree-1.0-py3-none-any.whl'), 'w').close(); "
            "return 'in_tree-1.0-py3-none-any.whl'",
            "0 files called METADATA",
        ),
    ],
)
def test_wheels_that_are_not_what_they_should_be(
    make_job: MakeJob, tmp_path: Path, body: str, fault: str
) -> None:
    job = make_job(f"def build_wheel(folder, config_settings=None, metadata_directory=None):\n    {body}\n")
    error = failure_of(build_wheel, job, tmp_path / "out", name="in-tree", version="1.0")
    assert "did not build a wheel as it should" in error.message
    assert fault in error.context[0]
    assert [name for name in os.listdir(tmp_path / "out") if name.startswith(".")] == []


def test_a_backend_without_editable_wheels(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("del build_editable\n")
    assert "no hook build_editable" in failure_of(prepare_metadata, "editable", job, tmp_path).context[0]
    error = failure_of(build_editable, job, tmp_path / "out", name="in-tree")
    assert "cannot build an editable wheel" in error.message
    assert "backend has no hook build_editable" in error.context[0]
    assert "setuptools>=64" in error.hints[1]


def test_a_backend_that_cannot_be_imported(make_job: MakeJob, tmp_path: Path) -> None:
    error = failure_of(build_wheel, make_job("import no_such_module_of_anybody\n"), tmp_path, name="in-tree")
    assert "cannot be imported: ModuleNotFoundError" in error.context[0]
    assert "no_such_module_of_anybody" in error.context[0]
    assert "the build imports no_such_module_of_anybody: add" in error.hints[0]


def test_a_backend_that_is_not_installed(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    (job.source / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'absent.build'"
    )
    error = failure_of(build_wheel, job, tmp_path, name="in-tree")
    assert "No module named 'absent'" in error.context[0]
    assert "absent.build in build-system.requires" in error.hints[0]


def test_a_backend_that_is_an_object_of_a_module(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    (job.source / "pyproject.toml").write_text("[build-system]\nrequires = []\nbuild-backend = 'absent:api'")
    error = failure_of(build_wheel, job, tmp_path, name="in-tree")
    assert "absent:api in build-system.requires" in error.hints[0]


def test_a_backend_that_leaves_without_an_answer(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("def build_wheel(*arguments): os._exit(0)\n")
    assert "gave no answer" in failure_of(build_wheel, job, tmp_path, name="in-tree").context[0]


def test_a_backend_that_is_killed(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("def build_wheel(*arguments): os.kill(os.getpid(), 9)\n")
    assert "ended with signal 9" in failure_of(build_wheel, job, tmp_path, name="in-tree").context[0]


def test_a_python_that_is_not_there(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(environment=BuildEnvironment(python="/no/such/python", env={}))
    assert "cannot be started" in failure_of(build_wheel, job, tmp_path, name="in-tree").context[0]


def test_a_log_that_cannot_be_written(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job = make_job(log_path=tmp_path / "file" / "build.log")
    assert "log cannot be written" in failure_of(build_wheel, job, tmp_path, name="in-tree").context[0]


def test_an_output_folder_that_cannot_be_made(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = failure_of(build_wheel, make_job(), tmp_path / "file" / "out", name="in-tree")
    assert "cannot be written" in error.message


def test_warnings_of_a_backend_are_not_ours(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        """
        import warnings
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            warnings.warn("deprecated")
            return make(folder)
        """
    )
    assert build_wheel(job, tmp_path, name="in-tree").exists()  # warnings are errors in the tests


def test_the_hook_sees_a_clean_environment(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/venv")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.org/simple")
    monkeypatch.setenv("CFLAGS", "-O2")
    job = make_job(
        """
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            import sys
            names = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_INDEX_URL", "CFLAGS")
            print([os.environ.get(name) for name in names], sys.prefix, os.environ["PATH"].split(":")[0])
            return make(folder)
        """
    )
    build_wheel(job, tmp_path / "out", name="in-tree")
    prefix = Path(job.environment.python).parent.parent
    assert job.log_path.read_text().strip() == f"[None, None, None, '-O2'] {prefix} {prefix / 'bin'}"


def test_clean_environment() -> None:
    environ = {
        "PATH": "/usr/bin",
        "PYTHONHOME": "/x",
        "PYTHONHASHSEED": "0",
        "HTTPS_PROXY": "p",
        "HOME": "/h",
    }
    assert clean_environment("/env/bin/python", environ) == {
        "PATH": f"/env/bin{os.pathsep}/usr/bin",
        "PYTHONHASHSEED": "0",
        "HTTPS_PROXY": "p",
        "HOME": "/h",
    }
