"""Stores of a group: the umask does not count there, nothing is taken from anybody."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envforge.store.guard import Guard
from envforge.store.sealing import remove_sealed
from envforge.store.sharing import is_shared, make_folders, share_all
from envforge.store.store import Store

from .conftest import describe, stage
from support.users import open_python, open_python_path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
GROUP, ANNE, BEN, CARL = 64000, 64001, 64002, 64003
As = Callable[..., subprocess.CompletedProcess[str]]
FILES = {
    "lib/demo/__init__.py": b"x = 41\n",
    "lib/demo/sub/a.py": b"y = 1\n",
    "data/share/demo.txt": b"hello",
}


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder as a cluster makes it for a project: ``drwxrws---``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        place = folder / "shared"
        place.mkdir()
        if os.getuid() == 0:
            os.chown(place, 0, GROUP)
        place.chmod(0o2770)
        yield place
        remove_sealed(place)


@pytest.fixture
def as_user() -> As:
    """Run Python code as another user with a umask; the group is that of the shared folder."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become other users")

    def run(user: int, code: str, *arguments: object, umask: str = "077", groups: str = f"{GROUP}") -> object:
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={groups}"]
        environment = {**os.environ, "PYTHONPATH": open_python_path(), "HOME": "/"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        script = f"import os, sys\nos.umask(0o{umask})\n{HELPERS}\n{code}"
        command = [*words, open_python(), "-c", script, *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60)

    return run  # type: ignore[return-value]


HELPERS = f"""
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from conftest import describe, stage
from envforge.store.store import Store
from envforge.store.guard import Guard
from envforge.errors import StoreError
from envforge.events import SilentReporter
FILES = {FILES!r}
root = Path(sys.argv[1])
def plant(store):
    with store.staging() as staging:
        staged = staging / "tree"
        staged.mkdir()
        return store.publish_tree(staged, describe("demo", FILES), stage(staged, FILES))
"""


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_do_not_depend_on_the_umask(shared: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = Store(shared / "cache" / "tier")
        with store.staging() as staging:
            assert mode(staging)[-3:-1] == "77"
            staged = staging / "tree"
            staged.mkdir()
            tree = store.publish_tree(staged, describe("demo", FILES), stage(staged, FILES))
        with Guard(store.guards / "a").try_hold():
            assert (store.guards / "a").stat().st_mode & 0o060 >= 0o040
    finally:
        os.umask(before)
    group_bits = {
        str(path.relative_to(shared)).replace(tree.id, "ID"): stat.S_IMODE(path.stat().st_mode) & 0o7070
        for path in shared.rglob("*")
    }
    writable = {name for name, bits in group_bits.items() if bits == 0o2070}
    tier = "cache/tier"
    assert writable == {
        "cache",
        tier,
        *(f"{tier}/{part}" for part in ("trees", "bundles", "tmp", "guards")),
        f"{tier}/trees/ID/lib/demo/__pycache__",
        f"{tier}/trees/ID/lib/demo/sub/__pycache__",
    }
    for name, bits in group_bits.items():
        if name not in writable:
            is_folder = (shared / name.replace("ID", tree.id)).is_dir()
            assert bits & 0o050 == (0o050 if is_folder else 0o040), name
            assert not bits & 0o020 or name.endswith((".json", ".files", "/store")), name
    assert store.verify_tree(tree) == []


def test_a_folder_is_shared_by_its_mode_alone(tmp_path: Path) -> None:
    for bits, shared in ((0o2775, True), (0o2770, True), (0o775, False), (0o2755, False), (0o755, False)):
        tmp_path.chmod(bits)
        assert is_shared(tmp_path) is shared
        make_folders(tmp_path / f"{bits:o}" / "below")
        assert is_shared(tmp_path / f"{bits:o}" / "below") is shared
    assert not is_shared(tmp_path / "nothing")


def test_making_folders_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError):
            make_folders(place)


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(outside)
    (tmp_path / "tree" / "program").write_text("")
    (tmp_path / "tree" / "program").chmod(0o700)
    share_all(tmp_path / "tree")
    assert (mode(outside), mode(tmp_path / "tree/program")) == ("0o600", "0o770")
    assert mode(tmp_path / "tree").startswith("0o277")


def test_what_one_member_stores_the_other_uses(shared: Path, as_user: As) -> None:
    first = said(as_user(ANNE, "tree = plant(Store(root)); print(tree.id)", shared / "tier")).strip()
    inode = (shared / "tier/trees" / first / "lib/demo/sub/a.py").stat().st_ino
    use = """
store = Store(root)
tree = store.find_tree(describe("demo", FILES).sha256)
assert plant(store) == tree and store.verify_tree(tree) == []
sys.path.insert(0, str(store.tree_path(tree.id) / "lib"))
sys.pycache_prefix = None
import demo
assert demo.x == 41 and os.path.exists(demo.__cached__)
try:
    open(demo.__file__, "w")
except PermissionError:
    print("sealed")
"""
    assert said(as_user(BEN, use, shared / "tier")) == "sealed\n"
    assert (shared / "tier/trees" / first / "lib/demo/sub/a.py").stat().st_ino == inode


def test_one_member_takes_over_from_and_sweeps_after_another(shared: Path, as_user: As) -> None:
    die = """
store = Store(root)
guard = store.guard("a" * 20).try_hold()
guard.__enter__()
staging = store.staging()
staged = staging.__enter__() / "tree"
staged.mkdir()
stage(staged, FILES)
os.kill(os.getpid(), 9)
"""
    assert as_user(ANNE, die, shared / "tier").returncode == -9
    go_on = """
store = Store(root)
with store.guard("a" * 20).hold(SilentReporter(), "x"):
    print("taken")
store.sweep()
print(len(list(store.tmp.iterdir())), len(list(store.guards.iterdir())))
"""
    # what lies in folders that Anne's umask has closed is left, without a word
    assert said(as_user(BEN, go_on, shared / "tier")) == "taken\n1 0\n"
    assert said(as_user(ANNE, go_on, shared / "tier")) == "taken\n0 0\n"


def test_one_member_replaces_what_another_has_damaged(shared: Path, as_user: As) -> None:
    break_it = """
tree = plant(Store(root))
file = Store(root).tree_path(tree.id) / "lib/demo/__init__.py"
file.chmod(0o600)
file.write_text("x = 42")
"""
    said(as_user(ANNE, break_it, shared / "tier", umask="022"))
    mend = """
store = Store(root)
tree = store.find_tree(describe("demo", FILES).sha256)
print(len(store.verify_tree(tree)))
store.remove_tree(tree.id)
print(store.find_tree(tree.sha256))
plant(store)
print(len(store.verify_tree(tree)), store.sweep(), len(list(store.trees.iterdir())))
"""
    # the damaged files are Anne's: out of the way, and removed when she comes by
    assert said(as_user(BEN, mend, shared / "tier")) == "1\nNone\n0 0 4\n"
    assert said(as_user(ANNE, "print(Store(root).sweep())", shared / "tier")) == "1\n"
    assert len(list((shared / "tier/trees").iterdir())) == 3


def test_who_is_not_of_the_group_is_told_what_to_do(shared: Path, as_user: As) -> None:
    shared.chmod(0o2775)
    said(as_user(ANNE, "plant(Store(root))", shared / "tier", umask="022"))
    code = """
try:
    with Store(root).staging():
        pass
except StoreError as error:
    print(error.message, *error.context, *error.hints, sep="\\n")
"""
    message, path, owner, hint = said(as_user(CARL, code, shared / "tier", groups=str(CARL))).splitlines()
    assert message == "cannot write to the store: permission denied"
    assert path.startswith("path: ")
    assert f"belongs to user {ANNE} (drwxrws" in owner
    assert "ENVFORGE_SITE_STORE" in hint and "chmod g+rwxs" in hint


def test_a_closed_store_is_told(as_user: As, shared: Path) -> None:
    (shared / "mine").mkdir(mode=0o700)
    os.chown(shared / "mine", ANNE, ANNE)
    said(as_user(ANNE, "plant(Store(root))", shared / "mine/tier"))
    code = """
try:
    Store(root).find_tree(describe("demo", FILES).sha256)
except StoreError as error:
    print(error.message, *error.context, sep="\\n")
"""
    message, *context = said(as_user(BEN, code, shared / "mine/tier")).splitlines()
    assert message == "cannot read the store: permission denied"
    assert any(f"belongs to user {ANNE}" in line for line in context)


def test_a_default_acl_is_kept(shared: Path, as_user: As) -> None:
    """Where an ACL rules, named users have what it says: read everywhere, write where envforge writes."""
    if not shutil.which("setfacl"):
        pytest.skip("needs setfacl")
    shared.chmod(0o755)
    for kind in ("-m", "-dm"):
        done = subprocess.run(["setfacl", kind, f"u:{ANNE}:rwx,u:{BEN}:rwx,m::rwx", str(shared)])
        if done.returncode:
            pytest.skip("this file system has no ACLs")
    none = {"groups": "64009"}
    said(as_user(ANNE, "plant(Store(root))", shared / "tier", **none))
    use = """
store = Store(root)
tree = store.find_tree(describe("demo", FILES).sha256)
assert store.verify_tree(tree) == []
place = store.tree_path(tree.id)
(place / "lib/demo/__pycache__/x.pyc").write_text("")
with store.staging(), store.guard("a").try_hold() as mine:
    print(mine is not None)
try:
    (place / "lib/demo/new.py").write_text("")
except PermissionError:
    print("sealed")
store.remove_tree(tree.id)
plant(store)
"""
    assert said(as_user(BEN, use, shared / "tier", **none)) == "True\nsealed\n"
