//! What an emulator can do, as libvirt numbers it: its saved capabilities name these flags, and ours do.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! flags {
    ($($variant:ident = $word:literal,)+) => {
        /// Something that an emulator can do. The order, and so the numbers, are libvirt 11.3's; those that no QEMU which we
        /// take lacks (6.2 and later) are kept for the sake of the numbers, and are never found or asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Flag { $(#[doc = concat!("`", $word, "`")] $variant,)+ }

        impl Flag {
            /// All of them, in order.
            pub const ALL: &'static [Flag] = &[$(Flag::$variant,)+];

            /// libvirt's word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Flag::$variant => $word,)+ }
            }
        }
    };
}

impl Flag {
    /// The flag with libvirt's word.
    pub fn from_word(word: &str) -> Option<Flag> {
        // A record of a running guest has hundreds of them.
        static BY_WORD: LazyLock<Vec<Flag>> = LazyLock::new(|| {
            let mut flags = Flag::ALL.to_vec();
            flags.sort_unstable_by_key(|flag| flag.word());
            flags
        });
        let found = BY_WORD.binary_search_by_key(&word, |flag| flag.word()).ok()?;
        BY_WORD.get(found).copied()
    }
}

const BYTES: usize = Flag::ALL.len().div_ceil(8);

/// A set of flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags([u8; BYTES]);

impl Flags {
    /// Whether it is one of them.
    pub const fn contains(&self, flag: Flag) -> bool {
        self.0[flag as usize / 8] & (1 << (flag as usize % 8)) != 0
    }

    /// Adds it.
    pub const fn insert(&mut self, flag: Flag) {
        self.0[flag as usize / 8] |= 1 << (flag as usize % 8);
    }

    /// Takes it out.
    pub const fn remove(&mut self, flag: Flag) {
        self.0[flag as usize / 8] &= !(1 << (flag as usize % 8));
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = Flag> + '_ {
        Flag::ALL.iter().copied().filter(|flag| self.contains(*flag))
    }
}

impl Default for Flags {
    fn default() -> Self {
        Flags([0; BYTES])
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(Flag::word)).finish()
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Flags::default();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

impl Extend<Flag> for Flags {
    fn extend<I: IntoIterator<Item = Flag>>(&mut self, flags: I) {
        flags.into_iter().for_each(|flag| self.insert(flag));
    }
}

/// As hexadecimal digits, the lowest byte first: facts about a host are told often, and should be short.
impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}", self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut set = Flags::default();
        let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        for (at, pair) in digits.enumerate() {
            let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            let byte = byte.ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not hexadecimal")))?;
            // A newer version may know more.
            if let Some(place) = set.0.get_mut(at) {
                *place = byte;
            }
        }
        Ok(set)
    }
}

flags! {
    VncColon = "vnc-colon",
    NoReboot = "no-reboot",
    Drive = "drive",
    DriveBoot = "drive-boot",
    Name = "name",
    Uuid = "uuid",
    Domid = "domid",
    VnetHdr = "vnet-hdr",
    MigrateKvmStdio = "migrate-kvm-stdio",
    MigrateQemuTcp = "migrate-qemu-tcp",
    MigrateQemuExec = "migrate-qemu-exec",
    DriveCacheV2 = "drive-cache-v2",
    Kvm = "kvm",
    DriveFormat = "drive-format",
    Vga = "vga",
    V010 = "0.10",
    PciDevice = "pci-device",
    MemPath = "mem-path",
    DriveSerial = "drive-serial",
    XenDomid = "xen-domid",
    MigrateQemuUnix = "migrate-qemu-unix",
    Chardev = "chardev",
    EnableKvm = "enable-kvm",
    MonitorJson = "monitor-json",
    Balloon = "balloon",
    Device = "device",
    Sdl = "sdl",
    SmpTopology = "smp-topology",
    Netdev = "netdev",
    Rtc = "rtc",
    VhostNet = "vhost-net",
    RtcTdHack = "rtc-td-hack",
    NoHpet = "no-hpet",
    NoKvmPit = "no-kvm-pit",
    Tdf = "tdf",
    PciConfigfd = "pci-configfd",
    Nodefconfig = "nodefconfig",
    BootMenu = "boot-menu",
    Fsdev = "fsdev",
    Nesting = "nesting",
    NameProcess = "name-process",
    DriveReadonly = "drive-readonly",
    SmbiosType = "smbios-type",
    VgaQxl = "vga-qxl",
    Spice = "spice",
    VgaNone = "vga-none",
    MigrateQemuFd = "migrate-qemu-fd",
    BootIndex = "boot-index",
    HdaDuplex = "hda-duplex",
    DriveAio = "drive-aio",
    PciMultibus = "pci-multibus",
    PciBootindex = "pci-bootindex",
    CcidEmulated = "ccid-emulated",
    CcidPassthru = "ccid-passthru",
    ChardevSpicevmc = "chardev-spicevmc",
    DeviceSpicevmc = "device-spicevmc",
    VirtioTxAlg = "virtio-tx-alg",
    DeviceQxlVga = "device-qxl-vga",
    PciMultifunction = "pci-multifunction",
    VirtioBlkPciIoeventfd = "virtio-blk-pci.ioeventfd",
    Sga = "sga",
    VirtioBlkPciEventIdx = "virtio-blk-pci.event_idx",
    VirtioNetPciEventIdx = "virtio-net-pci.event_idx",
    CacheDirectsync = "cache-directsync",
    Piix3UsbUhci = "piix3-usb-uhci",
    Piix4UsbUhci = "piix4-usb-uhci",
    UsbEhci = "usb-ehci",
    Ich9UsbEhci1 = "ich9-usb-ehci1",
    Vt82c686bUsbUhci = "vt82c686b-usb-uhci",
    PciOhci = "pci-ohci",
    UsbRedir = "usb-redir",
    UsbHub = "usb-hub",
    NoShutdown = "no-shutdown",
    CacheUnsafe = "cache-unsafe",
    Rombar = "rombar",
    Ich9Ahci = "ich9-ahci",
    NoAcpi = "no-acpi",
    FsdevReadonly = "fsdev-readonly",
    VirtioBlkPciScsi = "virtio-blk-pci.scsi",
    BlkSgIo = "blk-sg-io",
    DriveCopyOnRead = "drive-copy-on-read",
    CpuHost = "cpu-host",
    FsdevWriteout = "fsdev-writeout",
    DriveIotune = "drive-iotune",
    SystemWakeup = "system_wakeup",
    ScsiDiskChannel = "scsi-disk.channel",
    ScsiBlock = "scsi-block",
    Transaction = "transaction",
    BlockJobSync = "block-job-sync",
    BlockJobAsync = "block-job-async",
    ScsiCd = "scsi-cd",
    IdeCd = "ide-cd",
    NoUserConfig = "no-user-config",
    HdaMicro = "hda-micro",
    DumpGuestMemory = "dump-guest-memory",
    NecUsbXhci = "nec-usb-xhci",
    VirtioS390 = "virtio-s390",
    BalloonEvent = "balloon-event",
    Bridge = "bridge",
    Lsi = "lsi",
    VirtioScsiPci = "virtio-scsi-pci",
    Blockio = "blockio",
    DisableS3 = "disable-s3",
    DisableS4 = "disable-s4",
    UsbRedirFilter = "usb-redir.filter",
    IdeDriveWwn = "ide-drive.wwn",
    ScsiDiskWwn = "scsi-disk.wwn",
    SeccompSandbox = "seccomp-sandbox",
    RebootTimeout = "reboot-timeout",
    DumpGuestCore = "dump-guest-core",
    SeamlessMigration = "seamless-migration",
    BlockCommit = "block-commit",
    Vnc = "vnc",
    DriveMirror = "drive-mirror",
    UsbRedirBootindex = "usb-redir.bootindex",
    UsbHostBootindex = "usb-host.bootindex",
    BlockdevSnapshotSync = "blockdev-snapshot-sync",
    Qxl = "qxl",
    VGA = "VGA",
    CirrusVga = "cirrus-vga",
    VmwareSvga = "vmware-svga",
    DeviceVideoPrimary = "device-video-primary",
    S390Sclp = "s390-sclp",
    UsbSerial = "usb-serial",
    UsbNet = "usb-net",
    AddFd = "add-fd",
    NbdServer = "nbd-server",
    VirtioRng = "virtio-rng",
    RngRandom = "rng-random",
    RngEgd = "rng-egd",
    VirtioCcw = "virtio-ccw",
    Dtb = "dtb",
    Megasas = "megasas",
    Ipv6Migration = "ipv6-migration",
    MachineOpt = "machine-opt",
    MachineUsbOpt = "machine-usb-opt",
    TpmPassthrough = "tpm-passthrough",
    TpmTis = "tpm-tis",
    Nvram = "nvram",
    PciBridge = "pci-bridge",
    VfioPci = "vfio-pci",
    VfioPciBootindex = "vfio-pci.bootindex",
    ScsiGeneric = "scsi-generic",
    ScsiGenericBootindex = "scsi-generic.bootindex",
    MemMerge = "mem-merge",
    VncWebsocket = "vnc-websocket",
    DriveDiscard = "drive-discard",
    Mlock = "mlock",
    VncSharePolicy = "vnc-share-policy",
    DeviceDelEvent = "device-del-event",
    DmiToPciBridge = "dmi-to-pci-bridge",
    I440fxPciHole64Size = "i440fx-pci-hole64-size",
    Q35PciHole64Size = "q35-pci-hole64-size",
    UsbStorage = "usb-storage",
    UsbStorageRemovable = "usb-storage.removable",
    VirtioMmio = "virtio-mmio",
    Ich9IntelHda = "ich9-intel-hda",
    KvmPitLostTickPolicy = "kvm-pit-lost-tick-policy",
    BootStrict = "boot-strict",
    Pvpanic = "pvpanic",
    EnableFips = "enable-fips",
    SpiceFileXferDisable = "spice-file-xfer-disable",
    Spiceport = "spiceport",
    UsbKbd = "usb-kbd",
    HostPciMultidomain = "host-pci-multidomain",
    MsgTimestamp = "msg-timestamp",
    ActiveCommit = "active-commit",
    ChangeBackingFile = "change-backing-file",
    MemoryBackendRam = "memory-backend-ram",
    Numa = "numa",
    MemoryBackendFile = "memory-backend-file",
    UsbAudio = "usb-audio",
    RtcResetReinjection = "rtc-reset-reinjection",
    SplashTimeout = "splash-timeout",
    Iothread = "iothread",
    MigrateRdma = "migrate-rdma",
    Ivshmem = "ivshmem",
    DriveIotuneMax = "drive-iotune-max",
    VgaVgamemMb = "VGA.vgamem_mb",
    VmwareSvgaVgamemMb = "vmware-svga.vgamem_mb",
    QxlVgamemMb = "qxl.vgamem_mb",
    QxlVgaVgamemMb = "qxl-vga.vgamem_mb",
    PcDimm = "pc-dimm",
    MachineVmportOpt = "machine-vmport-opt",
    AesKeyWrap = "aes-key-wrap",
    DeaKeyWrap = "dea-key-wrap",
    PciSerial = "pci-serial",
    Aarch64Off = "aarch64-off",
    VhostUserMultiqueue = "vhost-user-multiqueue",
    MigrationEvent = "migration-event",
    GpexPcihost = "gpex-pcihost",
    Ioh3420 = "ioh3420",
    X3130Upstream = "x3130-upstream",
    Xio3130Downstream = "xio3130-downstream",
    Rtl8139 = "rtl8139",
    E1000 = "e1000",
    VirtioNet = "virtio-net",
    GicVersion = "gic-version",
    IncomingDefer = "incoming-defer",
    VirtioGpu = "virtio-gpu",
    VirtioGpuVirgl = "virtio-gpu.virgl",
    VirtioKeyboard = "virtio-keyboard",
    VirtioMouse = "virtio-mouse",
    VirtioTablet = "virtio-tablet",
    VirtioInputHost = "virtio-input-host",
    ChardevFileAppend = "chardev-file-append",
    Ich9DisableS3 = "ich9-disable-s3",
    Ich9DisableS4 = "ich9-disable-s4",
    VserportChangeEvent = "vserport-change-event",
    VirtioBalloonPciDeflateOnOom = "virtio-balloon-pci.deflate-on-oom",
    Mptsas1068 = "mptsas1068",
    SpiceGl = "spice-gl",
    QxlVram64SizeMb = "qxl.vram64_size_mb",
    QxlVgaVram64SizeMb = "qxl-vga.vram64_size_mb",
    ChardevLogfile = "chardev-logfile",
    DebugThreads = "debug-threads",
    Secret = "secret",
    Pxb = "pxb",
    PxbPcie = "pxb-pcie",
    DeviceTrayMovedEvent = "device-tray-moved-event",
    NecUsbXhciPorts = "nec-usb-xhci-ports",
    VirtioScsiPciIothread = "virtio-scsi-pci.iothread",
    NameGuest = "name-guest",
    QxlMaxOutputs = "qxl.max_outputs",
    QxlVgaMaxOutputs = "qxl-vga.max_outputs",
    SpiceUnix = "spice-unix",
    DriveDetectZeroes = "drive-detect-zeroes",
    TlsCredsX509 = "tls-creds-x509",
    Display = "display",
    IntelIommu = "intel-iommu",
    Smm = "smm",
    VirtioPciDisableLegacy = "virtio-pci-disable-legacy",
    QueryHotpluggableCpus = "query-hotpluggable-cpus",
    VirtioNetRxQueueSize = "virtio-net.rx_queue_size",
    MachineIommu = "machine-iommu",
    VirtioVga = "virtio-vga",
    DriveIotuneMaxLength = "drive-iotune-max-length",
    IvshmemPlain = "ivshmem-plain",
    IvshmemDoorbell = "ivshmem-doorbell",
    QueryQmpSchema = "query-qmp-schema",
    GlusterDebugLevel = "gluster.debug_level",
    VhostScsi = "vhost-scsi",
    DriveIotuneGroup = "drive-iotune-group",
    QueryCpuModelExpansion = "query-cpu-model-expansion",
    VirtioNetHostMtu = "virtio-net.host_mtu",
    SpiceRendernode = "spice-rendernode",
    Nvdimm = "nvdimm",
    PcieRootPort = "pcie-root-port",
    QueryCpuDefinitions = "query-cpu-definitions",
    BlockWriteThreshold = "block-write-threshold",
    QueryNamedBlockNodes = "query-named-block-nodes",
    CpuCache = "cpu-cache",
    QemuXhci = "qemu-xhci",
    KernelIrqchip = "kernel-irqchip",
    KernelIrqchipSplit = "kernel-irqchip.split",
    IntelIommuIntremap = "intel-iommu.intremap",
    IntelIommuCachingMode = "intel-iommu.caching-mode",
    IntelIommuEim = "intel-iommu.eim",
    IntelIommuDeviceIotlb = "intel-iommu.device-iotlb",
    VirtioIommuPlatform = "virtio.iommu_platform",
    VirtioAts = "virtio.ats",
    Loadparm = "loadparm",
    SpaprPciHostBridge = "spapr-pci-host-bridge",
    SpaprPciHostBridgeNumaNode = "spapr-pci-host-bridge.numa_node",
    VncMultiServers = "vnc-multi-servers",
    VirtioNetTxQueueSize = "virtio-net.tx_queue_size",
    ChardevReconnect = "chardev-reconnect",
    VirtioGpuMaxOutputs = "virtio-gpu.max_outputs",
    Vxhs = "vxhs",
    VirtioBlkNumQueues = "virtio-blk.num-queues",
    MachinePseriesResizeHpt = "machine.pseries.resize-hpt",
    Vmcoreinfo = "vmcoreinfo",
    SpaprVty = "spapr-vty",
    Sclplmconsole = "sclplmconsole",
    NumaDist = "numa.dist",
    DiskShareRw = "disk-share-rw",
    IscsiPasswordSecret = "iscsi.password-secret",
    IsaSerial = "isa-serial",
    Pl011 = "pl011",
    MachinePseriesMaxCpuCompat = "machine.pseries.max-cpu-compat",
    DumpCompleted = "dump-completed",
    VirtioGpuCcw = "virtio-gpu-ccw",
    VirtioKeyboardCcw = "virtio-keyboard-ccw",
    VirtioMouseCcw = "virtio-mouse-ccw",
    VirtioTabletCcw = "virtio-tablet-ccw",
    Qcow2Luks = "qcow2-luks",
    PciePciBridge = "pcie-pci-bridge",
    SeccompBlacklist = "seccomp-blacklist",
    QueryCpusFast = "query-cpus-fast",
    DiskWriteCache = "disk-write-cache",
    NbdTls = "nbd-tls",
    TpmCrb = "tpm-crb",
    PrManagerHelper = "pr-manager-helper",
    QomListProperties = "qom-list-properties",
    MemoryBackendFileDiscardData = "memory-backend-file.discard-data",
    VirtualCssBridge = "virtual-css-bridge",
    VirtualCssBridgeCssidUnrestricted = "virtual-css-bridge.cssid-unrestricted",
    VfioCcw = "vfio-ccw",
    SdlGl = "sdl-gl",
    ScreendumpDevice = "screendump_device",
    HdaOutput = "hda-output",
    BlockdevDel = "blockdev-del",
    Vmgenid = "vmgenid",
    VhostVsock = "vhost-vsock",
    ChardevFdPass = "chardev-fd-pass",
    TpmEmulator = "tpm-emulator",
    Mch = "mch",
    MchExtendedTsegMbytes = "mch.extended-tseg-mbytes",
    SevGuest = "sev-guest",
    MachinePseriesCapHptMaxPageSize = "machine.pseries.cap-hpt-max-page-size",
    MachinePseriesCapHtm = "machine.pseries.cap-htm",
    UsbStorageWerror = "usb-storage.werror",
    EglHeadless = "egl-headless",
    VfioPciDisplay = "vfio-pci.display",
    Blockdev = "blockdev",
    VfioAp = "vfio-ap",
    Zpci = "zpci",
    MemoryBackendMemfd = "memory-backend-memfd",
    MemoryBackendMemfdHugetlb = "memory-backend-memfd.hugetlb",
    IothreadPollMaxNs = "iothread.poll-max-ns",
    MachinePseriesCapNestedHv = "machine.pseries.cap-nested-hv",
    EglHeadlessRendernode = "egl-headless.rendernode",
    MemoryBackendFileAlign = "memory-backend-file.align",
    MemoryBackendFilePmem = "memory-backend-file.pmem",
    NvdimmUnarmed = "nvdimm.unarmed",
    ScsiDiskDeviceId = "scsi-disk.device_id",
    VirtioPciNonTransitional = "virtio-pci-non-transitional",
    Overcommit = "overcommit",
    QueryCurrentMachine = "query-current-machine",
    MachineVirtIommu = "machine.virt.iommu",
    BitmapMerge = "bitmap-merge",
    NbdBitmap = "nbd-bitmap",
    X86MaxCpu = "x86-max-cpu",
    CpuUnavailableFeatures = "cpu-unavailable-features",
    CanonicalCpuFeatures = "canonical-cpu-features",
    BochsDisplay = "bochs-display",
    MigrationFileDropCache = "migration-file-drop-cache",
    DbusVmstate = "dbus-vmstate",
    VhostUserGpu = "vhost-user-gpu",
    VhostUserVga = "vhost-user-vga",
    IncrementalBackup = "incremental-backup",
    QueryCpuModelBaseline = "query-cpu-model-baseline",
    QueryCpuModelComparison = "query-cpu-model-comparison",
    Ramfb = "ramfb",
    MachinePseriesCapCcfAssist = "machine.pseries.cap-ccf-assist",
    ArmMaxCpu = "arm-max-cpu",
    BlockdevFileDynamicAutoReadOnly = "blockdev-file-dynamic-auto-read-only",
    SavevmMonitorNodes = "savevm-monitor-nodes",
    DriveNvme = "drive-nvme",
    SmpDies = "smp-dies",
    I8042 = "i8042",
    RngBuiltin = "rng-builtin",
    VirtioNetFailover = "virtio-net.failover",
    TpmSpapr = "tpm-spapr",
    CpuKvmNoAdjvtime = "cpu.kvm-no-adjvtime",
    VhostUserFs = "vhost-user-fs",
    QueryNamedBlockNodesFlat = "query-named-block-nodes.flat",
    BlockdevSnapshotAllowWriteOnlyOverlay = "blockdev-snapshot.allow-write-only-overlay",
    BlockdevReopen = "blockdev-reopen",
    StorageWerror = "storage.werror",
    FsdevMultidevs = "fsdev.multidevs",
    VirtioPacked = "virtio.packed",
    PcieRootPortHotplug = "pcie-root-port.hotplug",
    AioIoUring = "aio.io_uring",
    MachinePseriesCapCfpc = "machine.pseries.cap-cfpc",
    MachinePseriesCapSbbc = "machine.pseries.cap-sbbc",
    MachinePseriesCapIbs = "machine.pseries.cap-ibs",
    Tcg = "tcg",
    VirtioBlkPciScsiDefaultDisabled = "virtio-blk-pci.scsi.default.disabled",
    Pvscsi = "pvscsi",
    CpuMigratable = "cpu.migratable",
    QueryCpuModelExpansionMigratable = "query-cpu-model-expansion.migratable",
    FwCfg = "fw_cfg",
    MigrationParamBandwidth = "migration-param.bandwidth",
    MigrationParamDowntime = "migration-param.downtime",
    MigrationParamXbzrleCacheSize = "migration-param.xbzrle-cache-size",
    IntelIommuAwBits = "intel-iommu.aw-bits",
    SpaprTpmProxy = "spapr-tpm-proxy",
    NumaHmat = "numa.hmat",
    BlockdevHostdevScsi = "blockdev-hostdev-scsi",
    UsbHostHostdevice = "usb-host.hostdevice",
    VirtioBalloonFreePageReporting = "virtio-balloon.free-page-reporting",
    BlockExportAdd = "block-export-add",
    NetdevVhostVdpa = "netdev.vhost-vdpa",
    FsdevCreatemode = "fsdev.createmode",
    Ncr53c90 = "ncr53c90",
    Dc390 = "dc390",
    Am53c974 = "am53c974",
    VirtioPmemPci = "virtio-pmem-pci",
    VhostUserFsBootindex = "vhost-user-fs.bootindex",
    VhostUserBlk = "vhost-user-blk",
    CpuMax = "cpu-max",
    MemoryBackendFileXUseCanonicalPathForRamblockId = "memory-backend-file.x-use-canonical-path-for-ramblock-id",
    VncOpts = "vnc-opts",
    MigrationParamBlockBitmapMapping = "migration-param.block-bitmap-mapping",
    VncPowerControl = "vnc-power-control",
    Audiodev = "audiodev",
    BlockdevBackup = "blockdev-backup",
    ObjectQapified = "object.qapified",
    RotationRate = "rotation-rate",
    CompatDeprecated = "compat-deprecated",
    AcpiIndex = "acpi-index",
    InputLinux = "input-linux",
    VirtioGpuGlPci = "virtio-gpu-gl-pci",
    VirtioVgaGl = "virtio-vga-gl",
    ConfidentialGuestSupport = "confidential-guest-support",
    QueryDisplayOptions = "query-display-options",
    S390PvGuest = "s390-pv-guest",
    SetAction = "set-action",
    VirtioBlkQueueSize = "virtio-blk.queue-size",
    VirtioMemPci = "virtio-mem-pci",
    MemoryBackendFileReserve = "memory-backend-file.reserve",
    Piix4AcpiRootPciHotplug = "piix4.acpi-root-pci-hotplug",
    NetdevJson = "netdev.json",
    ChardevJson = "chardev.json",
    DeviceJson = "device.json",
    QueryDirtyRate = "query-dirty-rate",
    RbdEncryption = "rbd-encryption",
    SevGuestKernelHashes = "sev-guest-kernel-hashes",
    SevInjectLaunchSecret = "sev-inject-launch-secret",
    DeviceJsonHotplug = "device.json+hotplug",
    Hvf = "hvf",
    VirtioMemPciPrealloc = "virtio-mem-pci.prealloc",
    CalcDirtyRate = "calc-dirty-rate",
    DirtyrateParamMode = "dirtyrate-param.mode",
    BlockdevNbdTlsHostname = "blockdev.nbd.tls-hostname",
    MemoryBackendFilePreallocThreads = "memory-backend-file.prealloc-threads",
    VirtioIommuPci = "virtio-iommu-pci",
    VirtioIommuBootBypass = "virtio-iommu.boot-bypass",
    VirtioNetRss = "virtio-net.rss",
    ChardevQemuVdagent = "chardev.qemu-vdagent",
    DisplayDbus = "display-dbus",
    IothreadThreadPoolMax = "iothread.thread-pool-max",
    UsbHostGuestResetsAll = "usb-host.guest-resets-all",
    MigrationBlockedReasons = "migration.blocked-reasons",
    QueryStats = "query-stats",
    QueryStatsSchemas = "query-stats-schemas",
    SgxEpc = "sgx-epc",
    ThreadContext = "thread-context",
    ScreenshotFormatPng = "screenshot-format-png",
    MachineHpet = "machine-hpet",
    NetdevStream = "netdev.stream",
    VirtioCrypto = "virtio-crypto",
    CryptodevBackendLkcf = "cryptodev-backend-lkcf",
    PvpanicPci = "pvpanic-pci",
    NetdevStreamReconnect = "netdev.stream.reconnect",
    VirtioGpuBlob = "virtio-gpu.blob",
    RbdEncryptionLayering = "rbd-encryption-layering",
    RbdEncryptionLuksAny = "rbd-encryption-luks-any",
    Qcow2DiscardNoUnref = "qcow2-discard-no-unref",
    RunWithAsyncTeardown = "run-with.async-teardown",
    VirtioBlkVhostVdpa = "virtio-blk-vhost-vdpa",
    VirtioBlkIothreadMapping = "virtio-blk.iothread-mapping",
    SmpClusters = "smp-clusters",
    VirtioMemPciDynamicMemslots = "virtio-mem-pci.dynamic-memslots",
    BlockjobBackingMaskProtocol = "blockjob.backing-mask-protocol",
    DisplayReload = "display-reload",
    UsbMtp = "usb-mtp",
    MachineVirtRas = "machine.virt.ras",
    VirtioSound = "virtio-sound",
    SevSnpGuest = "sev-snp-guest",
    NetdevUser = "netdev.user",
    AcpiErst = "acpi-erst",
    IntelIommuDmaTranslation = "intel-iommu.dma-translation",
    MachineI8042Opt = "machine-i8042-opt",
    SnapshotInternalQmp = "snapshot-internal-qmp",
    ChardevReconnectMiliseconds = "chardev-reconnect-miliseconds",
    VirtioCcwLoadparm = "virtio-ccw.loadparm",
    NetdevStreamReconnectMiliseconds = "netdev-stream-reconnect-miliseconds",
    QueryCpuModelExpansionDeprecatedProps = "query-cpu-model-expansion.deprecated-props",
    MigrateIncomingExitOnError = "migrate-incoming.exit-on-error",
    MachineVirtAia = "machine.virt.aia",
    VirtioMemCcw = "virtio-mem-ccw",
    BlockdevSetActive = "blockdev-set-active",
    Shim = "shim",
    VirtioScsiIothreadMapping = "virtio-scsi.iothread-mapping",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_libvirts() {
        // Some of libvirt's 476, from its first to its last.
        assert_eq!(Flag::ALL[0].word(), "vnc-colon");
        assert_eq!(Flag::ALL[12].word(), "kvm");
        assert_eq!(Flag::ALL[15].word(), "0.10");
        assert_eq!(Flag::ALL[59].word(), "virtio-blk-pci.ioeventfd");
        assert_eq!(Flag::ALL[118].word(), "VGA");
        assert_eq!(Flag::ALL[178].word(), "VGA.vgamem_mb");
        assert_eq!(Flag::ALL[263].word(), "spapr-pci-host-bridge.numa_node");
        assert_eq!(Flag::ALL[299].word(), "screendump_device");
        assert_eq!(Flag::ALL[372].word(), "fw_cfg");
        assert_eq!(Flag::ALL[420].word(), "device.json+hotplug");
        assert_eq!(Flag::ALL[475].word(), "virtio-scsi.iothread-mapping");
        assert_eq!(Flag::ALL.len(), 476);
        for (number, flag) in Flag::ALL.iter().enumerate() {
            assert_eq!((*flag as usize, Flag::from_word(flag.word())), (number, Some(*flag)));
        }
    }

    #[test]
    fn no_word_stands_twice() {
        let words: BTreeSet<&str> = Flag::ALL.iter().map(|flag| flag.word()).collect();
        assert_eq!(words.len(), Flag::ALL.len());
        assert_eq!(Flag::from_word("no-such-flag"), None);
    }

    #[test]
    fn a_set_keeps_its_flags_through_json() {
        let mut set: Flags = [Flag::VncColon, Flag::Kvm, Flag::VirtioScsiIothreadMapping].into_iter().collect();
        set.insert(Flag::Hvf);
        set.remove(Flag::Kvm);
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Flags>(&text).unwrap(), set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Flag::VncColon, Flag::Hvf, Flag::VirtioScsiIothreadMapping]);
        assert!(serde_json::from_str::<Flags>("\"0g\"").is_err());
    }
}
