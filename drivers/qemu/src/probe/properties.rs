//! Properties that flags tell of: of devices, of other objects, of machine types; and options of the command line.

use super::flags::Flag;

/// A type whose properties are asked for.
pub(super) struct Asked {
    /// Its name.
    pub(super) r#type: &'static str,
    /// It is asked only where there is this flag. Those without one are asked of every emulator, and may be refused.
    pub(super) needs: Option<Flag>,
    /// Its properties, and the flags that they set.
    pub(super) properties: &'static [(&'static str, Flag)],
}

const fn asked(r#type: &'static str, needs: Option<Flag>, properties: &'static [(&'static str, Flag)]) -> Asked {
    Asked { r#type, needs, properties }
}

/// Devices, in the order in which libvirt asks; so recorded conversations can be replayed. A device without properties is
/// one of whose properties every QEMU that we take has what libvirt wants to know.
pub(super) const DEVICES: &[Asked] = &[
    asked(
        "virtio-blk-pci",
        None,
        &[
            ("scsi", Flag::VirtioBlkPciScsi),
            // Off if not said, since QEMU 5.0.
            ("scsi", Flag::VirtioBlkPciScsiDefaultDisabled),
            ("acpi-index", Flag::AcpiIndex),
            ("queue-size", Flag::VirtioBlkQueueSize),
            ("iothread-vq-mapping", Flag::VirtioBlkIothreadMapping),
        ],
    ),
    asked("virtio-net-pci", Some(Flag::VirtioNet), &[("acpi-index", Flag::AcpiIndex), ("rss", Flag::VirtioNetRss)]),
    asked("virtio-scsi-pci", Some(Flag::VirtioScsiPci), &[("iothread-vq-mapping", Flag::VirtioScsiIothreadMapping)]),
    asked(
        "virtio-blk-ccw",
        Some(Flag::VirtioCcw),
        &[("queue-size", Flag::VirtioBlkQueueSize), ("iothread-vq-mapping", Flag::VirtioBlkIothreadMapping)],
    ),
    asked("virtio-net-ccw", Some(Flag::VirtioNet), &[("rss", Flag::VirtioNetRss)]),
    asked("virtio-scsi-ccw", Some(Flag::VirtioScsiPci), &[("iothread-vq-mapping", Flag::VirtioScsiIothreadMapping)]),
    asked("vfio-pci", Some(Flag::VfioPci), &[]),
    asked("scsi-hd", None, &[("channel", Flag::ScsiDiskChannel), ("rotation_rate", Flag::RotationRate)]),
    asked("ide-hd", None, &[("rotation_rate", Flag::RotationRate)]),
    asked("PIIX4_PM", None, &[("acpi-root-pci-hotplug", Flag::Piix4AcpiRootPciHotplug)]),
    asked("usb-redir", Some(Flag::UsbRedir), &[("filter", Flag::UsbRedirFilter)]),
    asked("usb-storage", Some(Flag::UsbStorage), &[]),
    asked("kvm-pit", None, &[("lost_tick_policy", Flag::KvmPitLostTickPolicy)]),
    asked("VGA", Some(Flag::VGA), &[("vgamem_mb", Flag::VgaVgamemMb)]),
    asked("vmware-svga", Some(Flag::VmwareSvga), &[("vgamem_mb", Flag::VmwareSvgaVgamemMb)]),
    asked("qxl", Some(Flag::Qxl), &[("vgamem_mb", Flag::QxlVgamemMb), ("vram64_size_mb", Flag::QxlVram64SizeMb)]),
    asked("virtio-gpu-pci", Some(Flag::VirtioGpu), &[("virgl", Flag::VirtioGpuVirgl), ("blob", Flag::VirtioGpuBlob)]),
    asked(
        "virtio-gpu-device",
        Some(Flag::VirtioGpu),
        &[("virgl", Flag::VirtioGpuVirgl), ("blob", Flag::VirtioGpuBlob)],
    ),
    asked("ICH9-LPC", None, &[]),
    asked("virtio-balloon-pci", None, BALLOON),
    asked("virtio-balloon-ccw", None, BALLOON),
    asked("virtio-balloon-device", None, BALLOON),
    asked("spapr-pci-host-bridge", Some(Flag::SpaprPciHostBridge), &[("numa_node", Flag::SpaprPciHostBridgeNumaNode)]),
    asked(
        "intel-iommu",
        Some(Flag::IntelIommu),
        &[
            ("intremap", Flag::IntelIommuIntremap),
            ("caching-mode", Flag::IntelIommuCachingMode),
            ("eim", Flag::IntelIommuEim),
            ("device-iotlb", Flag::IntelIommuDeviceIotlb),
            ("aw-bits", Flag::IntelIommuAwBits),
            ("dma-translation", Flag::IntelIommuDmaTranslation),
        ],
    ),
    asked("virtio-gpu-ccw", Some(Flag::VirtioGpuCcw), &[("blob", Flag::VirtioGpuBlob)]),
    asked("mch", Some(Flag::Mch), &[("extended-tseg-mbytes", Flag::MchExtendedTsegMbytes)]),
    asked("nvdimm", Some(Flag::Nvdimm), &[("unarmed", Flag::NvdimmUnarmed)]),
    asked("pcie-root-port", Some(Flag::PcieRootPort), &[("hotplug", Flag::PcieRootPortHotplug)]),
    asked(
        "usb-host",
        None,
        &[("hostdevice", Flag::UsbHostHostdevice), ("guest-resets-all", Flag::UsbHostGuestResetsAll)],
    ),
    asked("vhost-user-fs-device", Some(Flag::VhostUserFs), &[("bootindex", Flag::VhostUserFsBootindex)]),
    asked(
        "virtio-mem-pci",
        Some(Flag::VirtioMemPci),
        &[("prealloc", Flag::VirtioMemPciPrealloc), ("dynamic-memslots", Flag::VirtioMemPciDynamicMemslots)],
    ),
    asked("virtio-iommu-pci", Some(Flag::VirtioIommuPci), &[("boot-bypass", Flag::VirtioIommuBootBypass)]),
    asked("virtio-blk-ccw", Some(Flag::VirtioCcw), &[("loadparm", Flag::VirtioCcwLoadparm)]),
];

const BALLOON: &[(&str, Flag)] = &[
    ("deflate-on-oom", Flag::VirtioBalloonPciDeflateOnOom),
    ("free-page-reporting", Flag::VirtioBalloonFreePageReporting),
];

const MAX_CPU: &[(&str, Flag)] = &[
    ("unavailable-features", Flag::CpuUnavailableFeatures),
    ("kvm-no-adjvtime", Flag::CpuKvmNoAdjvtime),
    ("migratable", Flag::CpuMigratable),
];

/// Objects that are no devices; asked of emulators that have them.
pub(super) const OBJECTS: &[Asked] = &[
    asked(
        "memory-backend-file",
        None,
        &[
            ("x-use-canonical-path-for-ramblock-id", Flag::MemoryBackendFileXUseCanonicalPathForRamblockId),
            ("reserve", Flag::MemoryBackendFileReserve),
            ("prealloc-threads", Flag::MemoryBackendFilePreallocThreads),
        ],
    ),
    asked("memory-backend-memfd", None, &[("hugetlb", Flag::MemoryBackendMemfdHugetlb)]),
    asked("max-arm-cpu", None, MAX_CPU),
    asked("max-x86_64-cpu", None, MAX_CPU),
    asked("max-i386-cpu", None, MAX_CPU),
];

/// A machine type whose properties are asked for.
pub(super) struct AskedMachine {
    /// Its name or alias.
    pub(super) name: &'static str,
    /// The type that has its properties; absent: its own.
    pub(super) shared: Option<&'static str>,
    /// They, and the flags that they set.
    pub(super) properties: &'static [(&'static str, Flag)],
}

/// Machine types, in the order in which libvirt asks.
pub(super) const MACHINES: &[AskedMachine] = &[
    AskedMachine { name: "pseries", shared: None, properties: &[] },
    AskedMachine {
        name: "virt",
        shared: None,
        properties: &[("iommu", Flag::MachineVirtIommu), ("ras", Flag::MachineVirtRas), ("aia", Flag::MachineVirtAia)],
    },
    AskedMachine {
        name: "none",
        shared: Some("none-machine"),
        properties: &[("confidential-guest-support", Flag::ConfidentialGuestSupport), ("shim", Flag::Shim)],
    },
    AskedMachine {
        name: "pc",
        shared: Some("generic-pc-machine"),
        properties: &[("vmport", Flag::MachineVmportOpt), ("i8042", Flag::MachineI8042Opt)],
    },
];

/// Options of the command line, each with one of its parameters.
pub(super) const OPTIONS: &[(&str, &str, Flag)] = &[
    ("fsdev", "multidevs", Flag::FsdevMultidevs),
    ("machine", "hpet", Flag::MachineHpet),
    ("run-with", "async-teardown", Flag::RunWithAsyncTeardown),
    ("sandbox", "enable", Flag::SeccompSandbox),
    ("smp-opts", "dies", Flag::SmpDies),
    ("spice", "gl", Flag::SpiceGl),
    ("spice", "rendernode", Flag::SpiceRendernode),
    ("vnc", "power-control", Flag::VncPowerControl),
];

/// What migrations can do.
pub(super) const MIGRATION: &[(&str, Flag)] = &[("rdma-pin-all", Flag::MigrateRdma)];

/// Models of TPMs, and what can stand behind one.
pub(super) const TPM: &[(&str, Flag)] = &[
    ("tpm-tis", Flag::TpmTis),
    ("tpm-crb", Flag::TpmCrb),
    ("tpm-spapr", Flag::TpmSpapr),
    ("passthrough", Flag::TpmPassthrough),
    ("emulator", Flag::TpmEmulator),
];
