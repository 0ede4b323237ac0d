//! The formats of volumes.

use crate::words;

words! {
    /// The format of a volume: of an image, or of a partition.
    pub enum VolumeFormatName {
        /// A partition of no format.
        None = "none",
        /// The bytes as they are.
        Raw = "raw",
        /// A directory.
        Dir = "dir",
        /// Bochs.
        Bochs = "bochs",
        /// Compressed loop device.
        Cloop = "cloop",
        /// macOS disk image.
        Dmg = "dmg",
        /// A CD image.
        Iso = "iso",
        /// Hyper-V's first.
        Vpc = "vpc",
        /// VirtualBox's.
        Vdi = "vdi",
        /// Fat16 folder.
        Fat = "fat",
        /// Hyper-V's first, by its other name.
        Vhd = "vhd",
        /// Parallels.
        Ploop = "ploop",
        /// User Mode Linux copy-on-write.
        Cow = "cow",
        /// QEMU's first copy-on-write format.
        Qcow = "qcow",
        /// QEMU's copy-on-write format.
        Qcow2 = "qcow2",
        /// QEMU's enhanced disk.
        Qed = "qed",
        /// VMware's.
        Vmdk = "vmdk",
        /// A partition of Linux.
        Linux = "linux",
        /// A partition of FAT16.
        Fat16 = "fat16",
        /// A partition of FAT32.
        Fat32 = "fat32",
        /// A partition for swapping.
        LinuxSwap = "linux-swap",
        /// A partition for LVM.
        LinuxLvm = "linux-lvm",
        /// A partition for a RAID.
        LinuxRaid = "linux-raid",
        /// A partition of partitions.
        Extended = "extended",
    }
}
