"""What is kept of an environment comes back as it was, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.environment.spec import GenerationSpec, GenerationTree
from envforge.events import Warned
from envforge.model.accelerators import AppleChip, Gpu, HostFacts, NvidiaDriver, Rocm
from envforge.model.host import Interpreter
from envforge.model.tree import EntryPoint
from envforge.plan.link_plan import Clobber, Link, LinkMode, LinkPlan, Script
from envforge.store.store import Store
from envforge.struct import replace
from envforge.workflows.blueprint import (
    Blueprint,
    Inputs,
    digest_files,
    find_blueprint,
    is_any_kept,
    keep_blueprint,
)

FACTS = HostFacts(
    platform="linux-64",
    glibc=(2, 39),
    macos=(14, 5),
    nvidia=NvidiaDriver(
        version="570.124.06",
        cuda=(12, 8),
        gpus=(Gpu(name="NVIDIA H100", capability=(9, 0), memory_bytes=85_899_345_920, mig_slices=("1g",)),),
        told_by="nvml",
    ),
    rocm=Rocm(version=(6, 4), architectures=("gfx90a",)),
    apple=AppleChip(name="Apple M2", has_metal=True),
    container="docker",
    overridden=("CONDA_OVERRIDE_CUDA",),
)
INPUTS = Inputs(digest_files(b"manifest", b"lock"), FACTS, "9.0")
BLUEPRINT = Blueprint(
    python="3.12",
    requires_python=">=3.11",
    facts=FACTS,
    warnings=(Warned(message="two lines\nof it", hint="do this"),),
    project="demo",
    builds=(("key", "digest"),),
    spec=GenerationSpec(
        target="linux-64",
        groups=("group:dev", "project"),
        interpreter=Interpreter(
            executable="/usr/bin/python3.12",
            version="3.12.4",
            platform="linux-64",
            base_prefix="/usr",
            glibc=(2, 39),
        ),
        link_mode=LinkMode.SHARED,
        trees=(GenerationTree("core", "1.0", "abc", LinkMode.COPY),),
        venv="/p/.venv",
        prompt="demo",
    ),
    plan=LinkPlan(
        folders=["bin", "lib"],
        links=[Link("lib/core", "trees/abc/lib/core", True, LinkMode.SHARED)],
        scripts=[
            Script("core", EntryPoint(name="core", module="core.cli", attribute="main")),
            Script("core.sh", None, "trees/abc/scripts/core.sh", LinkMode.COPY),
        ],
        clobbers=[Clobber("lib/both.py", "a", "b")],
        shortcuts=[Link("lib/t", "trees", True, LinkMode.SHARED)],
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.prepare()
    return store


def test_it_comes_back_as_it_was(store: Store) -> None:
    keep_blueprint(BLUEPRINT, INPUTS, store)
    assert find_blueprint(INPUTS, store) == BLUEPRINT
    assert not list(store.tmp.iterdir())


@pytest.mark.parametrize(
    "others",
    [
        replace(INPUTS, files=digest_files(b"manifest ", b"lock")),
        replace(INPUTS, files=digest_files(b"manifest", b"lock ")),
        replace(INPUTS, files=digest_files(b"manifestlock", b"")),
        replace(INPUTS, files=digest_files(b"lock", b"manifest")),
        replace(INPUTS, facts=replace(FACTS, nvidia=None)),
        replace(INPUTS, facts=replace(FACTS, glibc=(2, 40))),
        replace(INPUTS, architectures=""),
    ],
)
def test_it_is_of_these_inputs(store: Store, others: Inputs) -> None:
    """Login nodes and those with GPUs share a tier: each kind has its own."""
    keep_blueprint(BLUEPRINT, INPUTS, store)
    assert find_blueprint(others, store) is None
    assert is_any_kept(others.files, store) == (others.files == INPUTS.files)
    own = replace(BLUEPRINT, warnings=())
    keep_blueprint(own, others, store)
    assert (find_blueprint(INPUTS, store), find_blueprint(others, store)) == (BLUEPRINT, own)


def test_the_last_one_counts(store: Store) -> None:
    for version in ("3.12.4", "3.12.5"):
        python = replace(BLUEPRINT.spec.interpreter, version=version)
        newer = replace(BLUEPRINT, spec=replace(BLUEPRINT.spec, interpreter=python))
        keep_blueprint(newer, INPUTS, store)
        assert find_blueprint(INPUTS, store) == newer


def test_what_is_no_utf_8_is_not_kept(store: Store) -> None:
    odd = replace(BLUEPRINT, spec=replace(BLUEPRINT.spec, venv="/p\udcff/.venv"))
    keep_blueprint(odd, INPUTS, store)
    assert find_blueprint(INPUTS, store) is None


def test_a_store_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "blueprints").write_text("no folder")
    keep_blueprint(BLUEPRINT, INPUTS, Store(tmp_path))
    assert find_blueprint(INPUTS, Store(tmp_path)) is None


def test_a_group_can_use_it(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    store = Store(shared)
    store.prepare()
    keep_blueprint(BLUEPRINT, INPUTS, store)
    (place,) = (shared / "blueprints").iterdir()
    assert place.stat().st_mode & 0o060 == 0o060
    assert place.parent.stat().st_mode & 0o2070 == 0o2070
