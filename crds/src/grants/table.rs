//! The table. Everything that a schema has stands here, which a test holds: a new field is listed, or its crate does not pass.
//!
//! Free is what can name nothing outside of the guest and its namespace: numbers, flags, words of a closed set, and the texts
//! that `FREE_TEXTS` lists. Where the host says something back to the guest, or works for it as root, that is no reason to be free.

use Grant::{HostDevices, HostNetworks, HostPaths, HypervisorArgs, RawXml};
use Rule::{AnyItem, Empty, Free, Items, Named, Needs, Only, Within};

use super::Grant;
use crate::Kind;

/// Fields of one object: names with a space between them, and what holds for each.
pub(super) type Fields = &'static [(&'static str, Rule)];

/// What holds for a field.
#[derive(Debug)]
pub(super) enum Rule {
    /// It and all below it stay within the guest and its namespace.
    Free,
    /// It needs a grant, whatever is in it.
    Needs(Grant),
    /// It is free as one of these words.
    Only(&'static [&'static str], Grant),
    /// It is free while nothing is in it.
    Empty(Grant),
    /// A list in which an item with one of these fields needs the first grant; without one, the second. It is free while empty.
    AnyItem(&'static [&'static str], Grant, Option<Grant>),
    /// An object, by its fields.
    Within(Fields),
    /// A list of things with a name, by their fields. In no other list.
    Named(Fields),
    /// A list of things without a name, by their fields. In no other list.
    Items(Fields),
}

/// The fields of a kind's spec. `None`: nothing of it reaches a host.
pub(super) const fn of(kind: Kind) -> Option<Fields> {
    match kind {
        Kind::Domain => Some(DOMAIN_SPEC),
        Kind::Network => Some(NETWORK_SPEC),
        Kind::StoragePool => Some(POOL_SPEC),
        Kind::StorageVolume => Some(VOLUME_SPEC),
        // A verb acts upon a guest of its namespace; a Host is the cluster admins'.
        Kind::DomainOperation | Kind::Host => None,
    }
}

/// What holds for a field of this name.
pub(super) fn rule_of(fields: Fields, name: &str) -> Option<&'static Rule> {
    fields.iter().find(|(names, _)| names.split(' ').any(|listed| listed == name)).map(|(_, rule)| rule)
}

const DOMAIN_SPEC: Fields = &[
    ("placement driver runStrategy disruption shutdown evictionStrategy deletion", Free),
    // A guest that Ostler did not make may be anybody's.
    ("adopt", Only(&["Never", "Orphaned"], RawXml)),
    ("domain", Within(DOMAIN)),
];

const DOMAIN: Fields = &[
    ("type title description memory maxMemory currentMemory vcpus iothreads iothreadids defaultiothread", Free),
    ("throttlegroups cpu clock genid onPoweroff onReboot onCrash pm", Free),
    // By name and uuid a host knows a guest, its NVRAM and its TPM: another's, too.
    ("name uuid metadata vmwareDatacenterpath", Needs(RawXml)),
    ("vcpu", Within(&[("count current placement", Free), ("cpuset", Needs(HypervisorArgs))])),
    ("os", Within(OS)),
    ("bootloader", Needs(HostPaths)),
    ("sysinfo", Items(SYSINFO)),
    ("features", Within(FEATURES)),
    ("devices", Within(DEVICES)),
    // What tunes the host's kernel for the guest's processes, says as whom and where they run, or goes by the model.
    (
        "blkiotune cputune memtune numatune memoryBacking resource perf seclabels idmap keywrap launchSecurity",
        Needs(HypervisorArgs),
    ),
    ("onLockfailure bootloaderArgs lxcNamespace", Needs(HypervisorArgs)),
    (
        "qemuCommandline qemuCapabilities qemuDeprecation qemuOverride bhyveCommandline xenCommandline",
        Needs(HypervisorArgs),
    ),
];

const OS: Fields = &[
    ("type boot bootmenu cmdline bios firmware firmwareFeatures", Free),
    ("kernel initrd dtb shim root acpi init initargs initdir initenvs inituser initgroup", Needs(HostPaths)),
    ("loader", Within(&[("readonly secure stateless type format", Free), ("path", Needs(HostPaths))])),
    ("nvram", Within(&[("format templateFormat", Free), ("path template source", Needs(HostPaths))])),
    // The host's own serial numbers.
    ("smbios", Only(&["none", "emulate", "sysinfo"], HypervisorArgs)),
];

const SYSINFO: Fields = &[("smbios", Free), ("fwcfg", Within(&[("entries", AnyItem(&["file"], HostPaths, None))]))];

const FEATURES: Fields = &[
    ("acpi aia apic asyncTeardown ccfAssist cfpc gic hap hpt htm hyperv ibs ioapic kvm msrs nestedHv pae pmu", Free),
    ("ps2 pvspinlock ras sbbc smm tcg viridian vmcoreinfo vmport", Free),
    // A container's rights on the host's kernel; a Xen guest's on the hypervisor.
    ("capabilities privnet xen", Needs(HypervisorArgs)),
];

const DEVICES: Fields = &[
    ("controllers hubs watchdogs memballoon sounds panics iommu nvram redirfilter", Free),
    ("emulator filesystems leases shmems", Needs(HostPaths)),
    ("hostdevs", Needs(HostDevices)),
    ("disks", Named(DISK)),
    ("interfaces", Named(INTERFACE)),
    ("serials parallels consoles channels", Named(CHARACTER_DEVICE)),
    ("redirdevs", Named(&[("name bus alias address boot", Free), ("source", Within(CHARACTER))])),
    ("rngs", Named(RNG)),
    ("tpms", Named(TPM)),
    ("smartcards", Named(SMARTCARD)),
    ("memories", Named(MEMORY)),
    ("inputs", Named(&[("name type bus model driver alias address", Free), ("source", Needs(HostDevices))])),
    ("graphics", Named(&[("name", Free), ("kind", Within(GRAPHICS))])),
    ("videos", Named(VIDEO)),
    ("audios", Named(&[("name id", Free), ("kind", Within(AUDIO))])),
    ("cryptos", Named(CRYPTO)),
    ("pstore", Within(&[("backend size alias acpi address", Free), ("path", Needs(HostPaths))])),
    // The host listens there, too.
    ("vsock", Needs(HostNetworks)),
];

const DISK: Fields = &[
    ("name device driver target readonly shareable transient serial wwn vendor product boot alias acpi address", Free),
    ("iotune throttlefilters geometry blockio model snapshot", Free),
    ("source", Within(DISK_SOURCE)),
    // Empty says that nothing is below; what is below a volume is the storage driver's to know.
    ("backingChain", Empty(HostPaths)),
    ("auth encryption", Needs(RawXml)),
    ("rawio sgio", Needs(HostDevices)),
    ("backendDomain", Needs(HypervisorArgs)),
];

const DISK_SOURCE: Fields = &[
    ("volume", Within(VOLUME_SOURCE)),
    ("file dir vhostuser", Needs(HostPaths)),
    ("block nvme vhostvdpa", Needs(HostDevices)),
    ("network", Within(NETWORK_SOURCE)),
];

const VOLUME_SOURCE: Fields = &[
    ("pool volume mode startupPolicy slices", Free),
    ("dataStore", Needs(HostPaths)),
    ("reservations", Needs(HostDevices)),
    ("auth encryption", Needs(RawXml)),
    ("seclabels", Needs(HypervisorArgs)),
];

const NETWORK_SOURCE: Fields = &[
    ("startupPolicy slices readahead timeout reconnect", Free),
    ("protocol name query snapshot tls tlsHostname ssl initiator cookies", Needs(HostNetworks)),
    ("hosts", AnyItem(&["socket"], HostPaths, Some(HostNetworks))),
    ("config identity knownHosts dataStore", Needs(HostPaths)),
    ("reservations", Needs(HostDevices)),
    ("auth encryption", Needs(RawXml)),
    ("seclabels", Needs(HypervisorArgs)),
];

const INTERFACE: Fields = &[
    ("name mac model link mtu boot alias acpi address filterref bandwidth coalesce guest driver sndbuf teaming", Free),
    ("source", Within(INTERFACE_SOURCE)),
    ("backend", Within(&[("type hostname fqdn", Free), ("logFile path tap vhost", Needs(HostPaths))])),
    ("rom", Within(&[("bar enabled", Free), ("file", Needs(HostPaths))])),
    ("target managed ips routes portForwards port vlan virtualport trustGuestRxFilters", Needs(HostNetworks)),
    // They run on the host, as root.
    ("script downscript backendDomain", Needs(HypervisorArgs)),
];

const INTERFACE_SOURCE: Fields = &[
    ("network null", Free),
    // User networking reaches what listens on the host.
    ("user bridge direct ethernet internal vds client server mcast udp", Needs(HostNetworks)),
    ("hostdev vdpa", Needs(HostDevices)),
    ("vhostuser", Needs(HostPaths)),
];

const CHARACTER_DEVICE: Fields =
    &[("name target alias address", Free), ("source", Within(CHARACTER)), ("log", Needs(HostPaths))];

/// The host's end of a character device.
const CHARACTER: Fields = &[
    ("null vc spicevmc spiceport qemuVdagent dbus", Free),
    ("pty", Within(&[("seclabels", Needs(HypervisorArgs))])),
    // Without a path it lies in the guest's own folder.
    ("unix", Within(&[("mode reconnect", Free), ("path", Needs(HostPaths)), ("seclabels", Needs(HypervisorArgs))])),
    ("file pipe stdio", Needs(HostPaths)),
    ("dev nmdm", Needs(HostDevices)),
    ("tcp udp", Needs(HostNetworks)),
];

const RNG: Fields = &[("name model driver rate alias address", Free), ("backend", Within(RNG_BACKEND))];

const RNG_BACKEND: Fields = &[
    ("builtin", Free),
    // Without a path it is /dev/urandom.
    ("random", Within(&[("path", Needs(HostPaths))])),
    ("egd", Within(&[("source", Within(CHARACTER))])),
];

const TPM: Fields = &[("name model alias address", Free), ("backend", Within(TPM_BACKEND))];

const TPM_BACKEND: Fields = &[
    (
        "emulator",
        Within(&[
            ("version persistentState activePcrBanks debug profile", Free),
            ("source", Needs(HostPaths)),
            ("encryption", Needs(RawXml)),
        ]),
    ),
    ("external", Needs(HostPaths)),
    ("passthrough", Needs(HostDevices)),
];

const SMARTCARD: Fields = &[
    ("name alias address", Free),
    (
        "mode",
        Within(&[
            ("host", Needs(HostDevices)),
            ("hostCertificates", Needs(HostPaths)),
            ("passthrough", Within(&[("source", Within(CHARACTER))])),
        ]),
    ),
];

const MEMORY: Fields = &[
    ("name model target uuid access discard alias acpi address", Free),
    (
        "source",
        Within(&[("alignsize pmem", Free), ("path", Needs(HostPaths)), ("nodemask pagesize", Needs(HypervisorArgs))]),
    ),
];

const GRAPHICS: Fields = &[
    (
        "vnc",
        Within(&[
            ("autoport keymap passwd passwdValidTo sharePolicy connected powerControl audio", Free),
            ("port websocket", Needs(HostNetworks)),
            // The types write an empty list.
            ("listens", AnyItem(&["socket"], HostPaths, Some(HostNetworks))),
        ]),
    ),
    (
        "spice",
        Within(&[
            ("autoport keymap passwd passwdValidTo connected defaultMode channels clipboard filetransfer mouse", Free),
            ("imageCompression jpegCompression zlibCompression playbackCompression streaming", Free),
            ("port tlsPort", Needs(HostNetworks)),
            ("listens", AnyItem(&["socket"], HostPaths, Some(HostNetworks))),
            ("gl", Needs(HostDevices)),
        ]),
    ),
    ("rdp", Needs(HostNetworks)),
    ("sdl desktop eglHeadless", Needs(HostDevices)),
    ("dbus", Needs(HostPaths)),
];

const VIDEO: Fields = &[
    ("name alias acpi address", Free),
    ("driver", Within(&[("ats iommu packed pagePerVq vgaconf", Free), ("name", Only(&["qemu"], HostDevices))])),
    (
        "model",
        Within(&[
            ("type heads primary ram vram vram64 vgamem resolution blob edid", Free),
            ("acceleration", Needs(HostDevices)),
        ]),
    ),
];

const AUDIO: Fields = &[
    ("none spice", Free),
    ("alsa coreaudio jack oss pipewire pulseaudio sdl", Needs(HostDevices)),
    ("file dbus", Needs(HostPaths)),
];

const CRYPTO: Fields = &[
    ("name type model driver alias acpi address", Free),
    ("backend", Within(&[("builtin", Free), ("lkcf", Needs(HostDevices))])),
];

const NETWORK_SPEC: Fields = &[("hostSelector usableFrom", Free), ("network", Within(NETWORK))];

const NETWORK: Fields = &[
    ("title description mtu mac bandwidth ipv6", Free),
    ("name uuid metadata", Needs(RawXml)),
    ("bridge", Within(&[("stp delay macTableManager", Free), ("name zone", Needs(HostNetworks))])),
    // A network that registers answers the host's own questions.
    ("domain", Within(&[("name localOnly", Free), ("register", Needs(HostNetworks))])),
    ("dns", Within(&[("enable forwardPlainNames hosts srvs txts", Free), ("forwarders", Needs(HostNetworks))])),
    ("forward", Within(FORWARD)),
    (
        "ips",
        Items(&[
            ("family address netmask prefix localPtr", Free),
            ("dhcp", Within(&[("ranges hosts bootp", Free)])),
            ("tftp", Needs(HostPaths)),
        ]),
    ),
    ("routes port portgroups vlan virtualport trustGuestRxFilters", Needs(HostNetworks)),
    // Some of them run programs.
    ("dnsmasqOptions", Needs(HypervisorArgs)),
];

const FORWARD: Fields = &[
    ("mode", Only(&["nat"], HostNetworks)),
    ("nat", Within(&[("ipv6 port", Free), ("address", Needs(HostNetworks))])),
    ("dev interfaces", Needs(HostNetworks)),
    ("pfs addresses driver managed", Needs(HostDevices)),
];

const POOL_SPEC: Fields = &[("hostSelector usableFrom shared deletion", Free), ("pool", Within(POOL))];

const POOL: Fields = &[
    ("features refresh", Free),
    ("name uuid", Needs(RawXml)),
    ("type", Only(&["dir"], HostDevices)),
    (
        "source",
        Within(&[
            ("format product vendor protocol", Free),
            ("dir", Needs(HostPaths)),
            ("devices adapter name", Needs(HostDevices)),
            ("hosts initiator", Needs(HostNetworks)),
            ("auth", Needs(RawXml)),
        ]),
    ),
    // Without a path it lies below the state folder.
    ("target", Needs(HostPaths)),
    ("fsMountOptions rbdConfigOptions", Needs(HypervisorArgs)),
];

const VOLUME_SPEC: Fields = &[("pool placement source deletion adopt", Free), ("volume", Within(VOLUME))];

const VOLUME: Fields = &[
    ("capacity allocation", Free),
    ("name", Needs(RawXml)),
    ("backingStore", Needs(HostPaths)),
    (
        "target",
        Within(&[
            ("format compat clusterSize features nocow", Free),
            ("permissions", Needs(HostPaths)),
            ("encryption", Needs(RawXml)),
        ]),
    ),
];

/// Texts below a free field that may be anything, by the end of their path: none of them names anything outside of the guest
/// and its namespace.
#[cfg(test)]
pub(super) const FREE_TEXTS: &[&str] = &[
    // Labels, and what only the guest reads.
    "[].name",
    "alias.name",
    "address.usb.port",
    "boot.loadparm",
    "description",
    "title",
    "os.cmdline",
    "disks[].serial",
    "disks[].wwn",
    "disks[].vendor",
    "disks[].product",
    "guest.dev",
    "channels[].target.name",
    "channels[].target.address",
    "memories[].uuid",
    "genid.id",
    "hyperv.vendorId.value",
    "smbios.bios.entries[].value",
    "smbios.system.entries[].value",
    "smbios.baseBoards[].entries[].value",
    "smbios.chassis.entries[].value",
    "smbios.oemStrings.entries[]",
    // Of the machine that the hypervisor makes.
    "os.type.arch",
    "os.type.machine",
    "cpu.model.name",
    "cpu.model.vendorId",
    "cpu.vendor",
    "cpu.features[].name",
    "clock.adjustment",
    "clock.timezone",
    "gic.version",
    "interfaces[].model.type",
    "driver.model",
    "disks[].driver.name",
    "redirfilter.usbdevs[].version",
    "source.dbus.channel",
    "source.spiceport.channel",
    "backend.hostname",
    "backend.fqdn",
    "tpms[].backend.emulator.profile.profile",
    "tpms[].backend.emulator.profile.source",
    // Of the guest's screen: its keyboard's name, and the Secret of its namespace that keeps its password.
    "kind.vnc.keymap",
    "kind.vnc.passwd.valueFrom.secretKeyRef.name",
    "kind.vnc.passwd.valueFrom.secretKeyRef.key",
    "kind.vnc.passwdValidTo",
    "kind.spice.keymap",
    "kind.spice.passwd.valueFrom.secretKeyRef.name",
    "kind.spice.passwd.valueFrom.secretKeyRef.key",
    "kind.spice.passwdValidTo",
    // Other parts of the same object.
    "iotune.groupName",
    "throttlegroups.groups[].groupName",
    "throttlefilters.filters[].group",
    "transient.persistent",
    // Objects of the same namespace, and hosts.
    "source.volume.pool",
    "source.volume.volume",
    "source.network.network",
    "source.network.portgroup",
    "filterref.filter",
    "filterref.parameters.*[]",
    "hostSelector.matchLabels.*",
    "namespaceSelector.matchLabels.*",
    "spec.driver",
    "placement.host",
    "spec.pool",
    "source.backing.volume",
    // What a network says to its own guests.
    "network.domain.name",
    "dns.hosts[].ip",
    "dns.hosts[].hostnames[]",
    "dns.srvs[].domain",
    "dns.srvs[].protocol",
    "dns.srvs[].service",
    "dns.srvs[].target",
    "dns.txts[].value",
    "ips[].address",
    "ips[].netmask",
    "dhcp.bootp.file",
    "dhcp.bootp.server",
    "dhcp.hosts[].id",
    "dhcp.hosts[].ip",
    "dhcp.hosts[].mac",
    "dhcp.ranges[].start",
    "dhcp.ranges[].end",
    // Of an image's form.
    "pool.source.protocol.ver",
    "pool.source.product.name",
    "pool.source.vendor.name",
    "volume.target.compat",
];
