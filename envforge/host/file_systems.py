"""What kinds of file systems there are: on which storage, for whom, with which links.

The names are those of ``/proc/filesystems`` and ``mount``; FUSE file systems are ``fuse.NAME``.
"""

from __future__ import annotations

from envforge.model.storage import Reach
from envforge.struct import Struct


class FileSystemKind(Struct, frozen=True):
    """A kind of file system.

    Args:
        reach: who sees its files.
        overlay: a container's own layer, lost with the container.
        symlinks, hardlinks: whether it can have any.
    """

    reach: Reach
    overlay: bool = False
    symlinks: bool = True
    hardlinks: bool = True


_LOCAL = (
    "ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs nilfs2 reiserfs ntfs ntfs3 fuseblk apfs hfs hfsplus ufs"
)
_NETWORK = (
    "nfs nfs4 lustre gpfs beegfs ceph cifs smb3 smbfs afs afpfs pvfs2 orangefs panfs wekafs gfs2 ocfs2 ncpfs "
    "acfs vxfs glusterfs 9p virtiofs prl_fs vboxsf vmhgfs drvfs webdav davfs s3fs daos dvs"
)
"""``9p``, ``virtiofs`` and what follows are folders of the machine around this one: shared with it, and a
message for each operation."""
_WITHOUT_LINKS = "vfat msdos exfat"

_KINDS = {
    **dict.fromkeys(_LOCAL.split(), FileSystemKind(Reach.LOCAL)),
    **dict.fromkeys(_NETWORK.split(), FileSystemKind(Reach.SHARED)),
    **dict.fromkeys(_WITHOUT_LINKS.split(), FileSystemKind(Reach.LOCAL, symlinks=False, hardlinks=False)),
    **dict.fromkeys(("tmpfs", "ramfs", "devtmpfs"), FileSystemKind(Reach.MEMORY)),
    **dict.fromkeys(
        ("overlay", "overlayfs", "aufs", "fuse.fuse-overlayfs"), FileSystemKind(Reach.LOCAL, overlay=True)
    ),
    **dict.fromkeys(("fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat"), FileSystemKind(Reach.LOCAL)),
}
_PSEUDO = (
    "autofs proc sysfs cgroup cgroup2 devpts debugfs tracefs securityfs configfs pstore bpf mqueue hugetlbfs "
    "binfmt_misc fusectl efivarfs nsfs rpc_pipefs selinuxfs squashfs erofs iso9660 udf cramfs romfs"
)
"""Nothing can be kept there: the kernel's own, images that cannot be written, mounts that are yet to come."""


def kind_of(file_system: str) -> FileSystemKind:
    """The kind of a file system by its name. An unknown one, as every unknown FUSE, counts as a network's."""
    kind = _KINDS.get(file_system)
    return kind if kind is not None else FileSystemKind(Reach.SHARED)


def is_pseudo(file_system: str) -> bool:
    """Whether nothing of ours can be kept on such a file system."""
    return file_system in _PSEUDO.split()
