package sink

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fsKind is a file system's magic number.
type fsKind int64

// String returns the kernel's name of the file system, or its number.
func (k fsKind) String() string {
	switch uint32(k) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case 0x2fc12fc1:
		return "zfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "cifs"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	case unix.V9FS_MAGIC:
		return "9p"
	case unix.MSDOS_SUPER_MAGIC:
		return "vfat"
	case unix.EXFAT_SUPER_MAGIC:
		return "exfat"
	case 0x7366746e:
		return "ntfs3"
	}
	return fmt.Sprintf("0x%x", uint32(k))
}

// remote says that another machine keeps the files.
func (k fsKind) remote() bool {
	switch k.String() {
	case "nfs", "cifs", "9p":
		return true
	}
	return false
}

// volatile says that the files do not survive a restart of the machine.
func (k fsKind) volatile() bool { return k.String() == "tmpfs" }

// stableInodes says that a file keeps its inode number while it exists, also when the file system is mounted anew.
func (k fsKind) stableInodes() bool {
	switch k.String() {
	case "ext4", "xfs", "btrfs", "f2fs", "zfs", "nfs", "tmpfs":
		return true
	}
	return false
}

// fileSystem is what tells one mounted file system from another, and how much is free on it.
type fileSystem struct {
	Kind fsKind `json:"type"`
	// ID is the file system's own; some have none, some change it when disks are renumbered.
	ID string `json:"fsid"`

	free      int64 // bytes for ordinary users
	files     int64 // inodes that are free, -1 where the file system does not count
	nameLimit int   // bytes of a name
}

// fileSystemOf looks at the file system of an open directory.
func fileSystemOf(d *dir) (fileSystem, error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(d.fd(), &st) }); err != nil {
		return fileSystem{}, err
	}
	out := fileSystem{
		Kind:      fsKind(uint32(st.Type)),
		ID:        fmt.Sprintf("%08x%08x", uint32(st.Fsid.Val[0]), uint32(st.Fsid.Val[1])),
		free:      int64(min(st.Bavail, 1<<62/uint64(max(st.Bsize, 1)))) * int64(max(st.Bsize, 1)),
		files:     -1,
		nameLimit: maxName,
	}
	if st.Files > 0 { // btrfs and network file systems have no fixed number
		out.files = int64(min(st.Ffree, 1<<62))
	}
	if st.Namelen > 0 {
		out.nameLimit = min(maxName, int(st.Namelen))
	}
	return out, nil
}

// same says that both are the same file system as far as that can be told.
func (s fileSystem) same(o fileSystem) bool { return s.Kind == o.Kind && s.ID == o.ID }
