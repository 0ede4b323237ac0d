//! What this driver does not do yet: every part of a definition is either named here or consumed. Structures are taken apart
//! whole, so that a new field can't be forgotten.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Boot, Channel, ChannelTarget, ChannelTargetKind, CharSource, CharSourceFile, CharSourcePath,
    CharSourceUnix, Clock, ClockOffset, Console, ConsoleTarget, ConsoleTargetKind, Controller, ControllerDriver,
    ControllerKind, ControllerModel, ControllerTarget, Cpu, CpuMode, CpuModel, Devices, Disk, DiskDriver, DiskSource,
    DiskTarget, DomainType, Features, Input, InputBus, InputKind, Interface, InterfaceSource, InterfaceTarget,
    LifecycleAction as Action, Mac, Memballoon, MemballoonModel, Memory, NetworkSource, Os, Rng, RngBackend, Serial,
    SerialTarget, SerialTargetKind, SourceCommon, TickPolicy, Timer, TimerName, Vcpu, VcpuPlacement, VirtioModel,
    VirtioOptions, Watchdog, WatchdogModel,
};
use ostler_conf::xml::Union as _;

use ostler_util::tap;

use super::{Problems, is_plain_name};
use crate::complete::family;

/// 52 bits, the most that an x86 CPU can address.
const MOST_MEMORY_KIB: u64 = 1 << 42;

/// Whether a field says anything.
trait Says {
    fn says(&self) -> bool;
}

impl<T> Says for Option<T> {
    fn says(&self) -> bool {
        self.is_some()
    }
}

impl<T> Says for Vec<T> {
    fn says(&self) -> bool {
        !self.is_empty()
    }
}

impl Says for bool {
    fn says(&self) -> bool {
        *self
    }
}

/// Refuses those of the fields, bound by their names, that say anything.
macro_rules! refuse {
    ($problems:ident, $at:expr, $what:literal: $($field:ident)*) => { $(
        if $field.says() {
            let name = camel_case(stringify!($field));
            let path = if $at.is_empty() { name.clone() } else { format!("{}.{name}", $at) };
            $problems.unsupported(path, format!("'{name}' is not supported for {}", $what));
        }
    )* };
}

/// `memory_backing` → `memoryBacking`.
fn camel_case(name: &str) -> String {
    let mut parts = name.trim_start_matches("r#").split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

/// Everything that would be dropped silently.
pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let arch = domain.os.r#type.arch.as_deref().unwrap_or_default();
    problems.unless(
        matches!(arch, "x86_64" | "i686"),
        "os.type.arch",
        format!("guests of the architecture '{arch}' are not supported"),
    );
    let machine = domain.os.r#type.machine.as_deref().unwrap_or_default();
    problems.unless(
        family(machine).is_some(),
        "os.type.machine",
        format!("the machine type '{machine}' is not supported: pc and q35 are"),
    );
    check_life(domain, problems);
    let os = &domain.os;
    for (value, field) in [(&os.initrd, "os.initrd"), (&os.cmdline, "os.cmdline")] {
        problems.unless(
            value.is_none() || os.kernel.is_some(),
            field,
            "it goes with a kernel that is booted directly: give os.kernel",
        );
    }
    for disk in &domain.devices.disks {
        if let Some(DiskSource::File(_) | DiskSource::Block(_)) = &disk.source {
            let path = disk.source.as_ref().and_then(DiskSource::path);
            problems.absolute(path, format!("devices.disks[{}].source", disk.name));
        }
    }
    for timer in domain.clock.iter().flat_map(|clock| &clock.timers) {
        let is_right = timer.name != TimerName::Hpet || timer.tickpolicy.is_none();
        problems.unless(is_right, "clock.timers", "QEMU's hpet knows no ticks to catch up with");
    }
    let kib = domain.memory_kib();
    problems.unless(kib <= MOST_MEMORY_KIB, "memory.size", format!("{kib} KiB is more than a CPU can address (4 PiB)"));
    let is_hosts = domain.cpu.as_ref().and_then(|cpu| cpu.mode) == Some(CpuMode::HostPassthrough);
    problems.unless(
        !is_hosts || domain.r#type == Some(DomainType::Kvm),
        "cpu.mode",
        "the CPU mode host-passthrough needs KVM: 'maximum' gives all that the translator can",
    );
    if domain.cpu.as_ref().and_then(|cpu| cpu.mode) == Some(CpuMode::HostModel) {
        problems.unsupported(
            "cpu.mode",
            "the CPU mode host-model is not supported yet: take host-passthrough, maximum or custom",
        );
    }
    for timer in domain.clock.iter().flat_map(|clock| &clock.timers) {
        let is_switch = matches!(timer.name, TimerName::Hpet | TimerName::Kvmclock | TimerName::Hypervclock);
        let cant_be_absent = !is_switch && timer.present.is_some_and(|present| !present.0);
        let catches_up = timer.name == TimerName::Pit && timer.tickpolicy == Some(TickPolicy::Catchup);
        problems.unless(
            !cant_be_absent && !catches_up && timer.name != TimerName::Armvtimer,
            "clock.timers",
            format!("QEMU can't set the timer '{}' so", timer.name),
        );
    }
    let at = "";
    let Domain {
        r#type,
        memory,
        vcpu,
        os,
        features,
        cpu,
        clock,
        devices,
        id: _,
        name: _,
        uuid: _,
        title: _,
        description: _,
        metadata: _,
        current_memory: _,
        on_poweroff: _,
        on_reboot: _,
        on_crash: _,
        pm: _,
        qemu_commandline: _,
        genid,
        max_memory,
        blkiotune,
        memtune,
        memory_backing,
        vcpus,
        iothreads,
        iothreadids,
        defaultiothread,
        throttlegroups,
        cputune,
        numatune,
        resource,
        sysinfo,
        bootloader,
        bootloader_args,
        idmap,
        on_lockfailure,
        perf,
        seclabels,
        keywrap,
        launch_security,
        qemu_capabilities,
        qemu_deprecation,
        qemu_override,
        lxc_namespace,
        xen_commandline,
        bhyve_commandline,
        vmware_datacenterpath,
    } = domain;
    refuse!(problems, at, "QEMU guests": genid max_memory blkiotune memtune memory_backing vcpus iothreads iothreadids defaultiothread throttlegroups cputune numatune resource sysinfo bootloader bootloader_args idmap on_lockfailure perf seclabels keywrap launch_security qemu_capabilities qemu_deprecation qemu_override lxc_namespace xen_commandline bhyve_commandline vmware_datacenterpath);
    if !matches!(r#type, None | Some(DomainType::Kvm | DomainType::Qemu | DomainType::Test)) {
        problems.unsupported("type", "the QEMU driver runs domains of type 'qemu' and 'kvm'");
    }
    if let Some(Memory { dump_core: _, size: _ }) = memory {}
    if let Some(Vcpu { placement, cpuset, current: _, count: _ }) = vcpu {
        refuse!(problems, "vcpu", "virtual CPUs": cpuset);
        problems.unless(
            *placement != Some(VcpuPlacement::Auto),
            "vcpu.placement",
            "the placement 'auto' is not supported",
        );
    }
    check_os(os, problems);
    check_features(features.as_ref(), problems);
    check_cpu(cpu.as_ref(), problems);
    check_clock(clock.as_ref(), problems);
    check_devices(devices, problems);
}

fn check_os(os: &Os, problems: &mut Problems) {
    let Os {
        r#type: _,
        kernel: _,
        initrd: _,
        cmdline: _,
        boot: _,
        bootmenu: _,
        firmware,
        firmware_features,
        init,
        initargs,
        initenvs,
        initdir,
        inituser,
        initgroup,
        loader,
        nvram,
        shim,
        dtb,
        root,
        acpi,
        bios,
        smbios,
    } = os;
    refuse!(problems, "os", "QEMU guests": firmware firmware_features init initargs initenvs initdir inituser initgroup loader nvram shim dtb root acpi bios smbios);
}

fn check_features(features: Option<&Features>, problems: &mut Problems) {
    let Some(features) = features else { return };
    let Features {
        acpi: _,
        apic: _,
        pae: _,
        hap,
        viridian,
        privnet,
        hyperv,
        kvm,
        pvspinlock,
        capabilities,
        pmu,
        vmport,
        gic,
        smm,
        ioapic,
        hpt,
        vmcoreinfo,
        htm,
        nested_hv,
        msrs,
        ccf_assist,
        xen,
        cfpc,
        sbbc,
        ibs,
        tcg,
        async_teardown,
        ras,
        ps2,
        aia,
    } = features;
    refuse!(problems, "features", "QEMU guests": hap viridian privnet hyperv kvm pvspinlock capabilities pmu vmport gic smm ioapic hpt vmcoreinfo htm nested_hv msrs ccf_assist xen cfpc sbbc ibs tcg async_teardown ras ps2 aia);
}

fn check_cpu(cpu: Option<&Cpu>, problems: &mut Problems) {
    let Some(cpu) = cpu else { return };
    let Cpu {
        model,
        mode: _,
        r#match: _,
        check: _,
        migratable: _,
        topology: _,
        features: _,
        deprecated_features,
        vendor,
        cache,
        maxphysaddr,
        numa,
    } = cpu;
    refuse!(problems, "cpu", "CPUs": deprecated_features vendor cache maxphysaddr numa);
    if let Some(CpuModel { fallback: _, vendor_id, name: _ }) = model {
        refuse!(problems, "cpu.model", "CPU models": vendor_id);
    }
}

fn check_clock(clock: Option<&Clock>, problems: &mut Problems) {
    let Some(clock) = clock else { return };
    let Clock { offset, timezone: _, timers, adjustment, basis, start } = clock;
    refuse!(problems, "clock", "clocks": adjustment basis start);
    let is_supported = matches!(offset, ClockOffset::Utc | ClockOffset::Localtime | ClockOffset::Timezone);
    problems.unless(is_supported, "clock.offset", format!("a clock that starts from '{offset}' is not supported"));
    for timer in timers {
        let Timer { name, present: _, tickpolicy: _, track, frequency, mode, catchup } = timer;
        let at = format!("clock.timers[{name}]");
        refuse!(problems, at, "timers": track frequency mode catchup);
    }
}

fn check_devices(devices: &Devices, problems: &mut Problems) {
    let Devices {
        disks,
        controllers,
        interfaces,
        serials,
        consoles,
        channels,
        inputs,
        audios,
        watchdogs,
        memballoon,
        rngs,
        emulator: _,
        leases,
        filesystems,
        smartcards,
        parallels,
        tpms,
        graphics,
        sounds,
        videos,
        hostdevs,
        redirdevs,
        redirfilter,
        hubs,
        nvram,
        panics,
        shmems,
        memories,
        iommu,
        vsock,
        cryptos,
        pstore,
    } = devices;
    refuse!(problems, "devices", "QEMU guests": leases filesystems smartcards parallels tpms graphics sounds videos hostdevs redirdevs redirfilter hubs nvram panics shmems memories iommu vsock cryptos pstore);
    disks.iter().for_each(|disk| check_disk(disk, problems));
    controllers.iter().for_each(|controller| check_controller(controller, problems));
    interfaces.iter().for_each(|interface| check_interface(interface, problems));
    serials.iter().for_each(|serial| check_serial(serial, problems));
    consoles.iter().for_each(|console| check_console(console, problems));
    channels.iter().for_each(|channel| check_channel(channel, problems));
    inputs.iter().for_each(|input| check_input(input, problems));
    rngs.iter().for_each(|rng| check_rng(rng, problems));
    for audio in audios {
        let is_none = audio.kind == ostler_conf::domain::AudioKind::None(Default::default());
        let kind = audio.kind.tag();
        let path = format!("devices.audios[{}].kind", audio.name);
        problems.unless(is_none, path, format!("sound of the kind '{kind}', or with settings, is not supported"));
    }
    for watchdog in watchdogs {
        let Watchdog { name, model, action: _, alias: _, address } = watchdog;
        let at = format!("devices.watchdogs[{name}]");
        problems.unless(*model != WatchdogModel::Diag288, format!("{at}.model"), "a PC has no watchdog 'diag288'");
        check_address(address.as_ref(), &at, problems);
    }
    if let Some(balloon) = memballoon {
        let Memballoon { model, alias: _, address, autodeflate, free_page_reporting, stats, driver } = balloon;
        let at = "devices.memballoon";
        refuse!(problems, at, "memory balloons": autodeflate free_page_reporting stats driver);
        let is_known = matches!(model, MemballoonModel::Virtio | MemballoonModel::None | MemballoonModel::Xen);
        problems.unless(is_known, "devices.memballoon.model", format!("the model '{model}' is not supported"));
        check_address(address.as_ref(), at, problems);
    }
}

fn check_disk(disk: &Disk, problems: &mut Problems) {
    let at = format!("devices.disks[{}]", disk.name);
    let Disk {
        driver,
        source,
        backing_chain,
        target,
        boot,
        address,
        name: _,
        device: _,
        readonly: _,
        shareable: _,
        serial: _,
        wwn: _,
        alias: _,
        private_data: _,
        secrets_placement: _,
        model,
        rawio,
        sgio,
        snapshot,
        auth,
        backend_domain,
        geometry,
        blockio,
        mirror,
        iotune,
        throttlefilters,
        transient,
        vendor,
        product,
        encryption,
        acpi,
    } = disk;
    refuse!(problems, at, "disks": model rawio sgio snapshot auth backend_domain geometry blockio mirror iotune throttlefilters transient vendor product encryption acpi);
    check_boot(boot.as_ref(), &at, problems);
    check_address(address.as_ref(), &at, problems);
    let DiskTarget { bus: _, tray: _, removable: _, rotation_rate: _, dpofua } = target;
    refuse!(problems, format!("{at}.target"), "disks": dpofua);
    if let Some(driver) = driver {
        let at = format!("{at}.driver");
        let DiskDriver {
            virtio,
            name: _,
            r#type: _,
            cache: _,
            error_policy: _,
            rerror_policy: _,
            io: _,
            discard: _,
            detect_zeroes: _,
            queues: _,
            ioeventfd,
            event_idx,
            copy_on_read,
            iothread,
            discard_no_unref,
            queue_size,
            iothreads,
            metadata_cache,
        } = driver;
        refuse!(problems, at, "disks": ioeventfd event_idx copy_on_read iothread discard_no_unref queue_size iothreads metadata_cache);
        check_virtio(virtio, &at, problems);
    }
    let images = backing_chain.iter().flat_map(|chain| &chain.0);
    for image in images.clone() {
        let metadata_cache = image.format.as_ref().and_then(|format| format.metadata_cache.as_ref());
        refuse!(problems, format!("{at}.backingChain.format"), "backing images": metadata_cache);
    }
    for source in source.iter().chain(images.filter_map(|image| image.source.as_ref())) {
        check_disk_source(source, &format!("{at}.source"), problems);
    }
}

fn check_disk_source(source: &DiskSource, at: &str, problems: &mut Problems) {
    match source {
        DiskSource::File(source) => {
            let fdgroup = &source.fdgroup;
            refuse!(problems, format!("{at}.file"), "disks": fdgroup);
        }
        DiskSource::Volume(source) => {
            let mode = &source.mode;
            refuse!(problems, format!("{at}.volume"), "disks": mode);
        }
        DiskSource::Block(_) => {}
        DiskSource::Dir(_)
        | DiskSource::Network(_)
        | DiskSource::Nvme(_)
        | DiskSource::Vhostuser(_)
        | DiskSource::Vhostvdpa(_) => {
            problems.unsupported(at, format!("disks of the type '{}' are not supported", source.tag()));
        }
    }
    let SourceCommon {
        index: _,
        private_data: _,
        startup_policy,
        seclabels,
        auth,
        encryption,
        reservations,
        slices,
        data_store,
    } = source.common();
    let at = format!("{at}.{}", source.tag());
    refuse!(problems, at, "disks": startup_policy seclabels auth encryption reservations slices data_store);
}

fn check_controller(controller: &Controller, problems: &mut Problems) {
    let at = format!("devices.controllers[{}]", controller.name);
    let Controller {
        r#type,
        driver,
        target,
        address,
        name: _,
        index: _,
        model,
        ports: _,
        model_name: _,
        alias: _,
        vectors,
        max_grant_frames,
        max_event_channels,
        pcihole64,
        master,
    } = controller;
    refuse!(problems, at, "controllers": vectors max_grant_frames max_event_channels pcihole64 master);
    let is_known = !matches!(r#type, ControllerKind::Xenbus | ControllerKind::Isa | ControllerKind::Nvme);
    problems.unless(is_known, format!("{at}.type"), format!("controllers of the kind '{}' are not supported", r#type));
    check_address(address.as_ref(), &at, problems);
    let is_silent = matches!(
        (r#type, model),
        (ControllerKind::Pci, Some(ControllerModel::PciRoot | ControllerModel::PcieRoot))
            | (ControllerKind::Usb, Some(ControllerModel::None))
            | (ControllerKind::Fdc | ControllerKind::Ide, _)
    );
    let model = model.map(ControllerModel::word).unwrap_or("without a model");
    let is_done = is_silent || crate::args::controller_driver(controller).is_some();
    problems.unless(is_done, format!("{at}.model"), format!("the {} controller '{model}' is not supported", r#type));
    if let Some(driver) = driver {
        let at = format!("{at}.driver");
        let ControllerDriver { virtio, queues, cmd_per_lun, max_sectors, ioeventfd, iothread, iothreads } = driver;
        refuse!(problems, at, "controllers": queues cmd_per_lun max_sectors ioeventfd iothread iothreads);
        check_virtio(virtio, &at, problems);
    }
    if let Some(target) = target {
        let ControllerTarget { chassis_nr: _, chassis: _, port: _, bus_nr, index, hotplug, mem_reserve, node } = target;
        refuse!(problems, format!("{at}.target"), "controllers": bus_nr index hotplug mem_reserve node);
    }
}

fn check_interface(interface: &Interface, problems: &mut Problems) {
    let at = format!("devices.interfaces[{}]", interface.name);
    let Interface {
        mac,
        source,
        target,
        boot,
        address,
        name: _,
        model: _,
        link: _,
        mtu: _,
        alias: _,
        actual: _,
        managed,
        trust_guest_rx_filters,
        vlan,
        virtualport,
        bandwidth,
        port,
        ips,
        routes,
        port_forwards,
        script,
        downscript,
        backend_domain,
        guest,
        driver,
        backend,
        filterref,
        sndbuf,
        coalesce,
        teaming,
        rom,
        acpi,
    } = interface;
    refuse!(problems, at, "interfaces": managed trust_guest_rx_filters vlan virtualport bandwidth port ips routes port_forwards script downscript backend_domain guest driver backend filterref sndbuf coalesce teaming rom acpi);
    check_boot(boot.as_ref(), &at, problems);
    check_address(address.as_ref(), &at, problems);
    if let Some(Mac { address: _, r#type, check }) = mac {
        refuse!(problems, format!("{at}.mac"), "interfaces": r#type check);
    }
    if let Some(InterfaceTarget { dev: _, managed }) = target {
        refuse!(problems, format!("{at}.target"), "interfaces": managed);
    }
    match source {
        InterfaceSource::Network(NetworkSource { network: _, portid: _, portgroup, bridge: _ }) => {
            refuse!(problems, format!("{at}.source.network"), "networks": portgroup);
        }
        InterfaceSource::Bridge(source) => {
            let is_name = |name: &str| is_plain_name(name) && name.len() <= tap::MAX_NAME;
            problems.unless(
                is_name(&source.bridge),
                format!("{at}.source.bridge.bridge"),
                format!("'{}' is no name of a bridge", source.bridge),
            );
            let dev = target.as_ref().and_then(|target| target.dev.as_deref());
            problems.unless(
                dev.is_none_or(is_name),
                format!("{at}.target.dev"),
                "a device's name has 15 letters, digits and -_. at most",
            );
        }
        InterfaceSource::User(source) => {
            let dev = &source.dev;
            refuse!(problems, format!("{at}.source.user"), "user networks": dev);
        }
        InterfaceSource::Ethernet(_)
        | InterfaceSource::Vhostuser(_)
        | InterfaceSource::Server(_)
        | InterfaceSource::Client(_)
        | InterfaceSource::Mcast(_)
        | InterfaceSource::Internal(_)
        | InterfaceSource::Direct(_)
        | InterfaceSource::Hostdev(_)
        | InterfaceSource::Udp(_)
        | InterfaceSource::Vdpa(_)
        | InterfaceSource::Null(_)
        | InterfaceSource::Vds(_) => {
            let kind = source.tag();
            problems.unsupported(format!("{at}.source"), format!("interfaces of the type '{kind}' are not supported"));
        }
    }
}

fn check_serial(serial: &Serial, problems: &mut Problems) {
    let Serial { name, source, log: _, target, alias: _, address } = serial;
    let at = format!("devices.serials[{name}]");
    check_char_source(source.as_ref(), &at, problems);
    check_address(address.as_ref(), &at, problems);
    if let Some(SerialTarget { r#type: Some(kind), port: _, model: _ }) = target {
        let is_known = !matches!(
            kind,
            SerialTargetKind::SpaprVioSerial | SerialTargetKind::SclpSerial | SerialTargetKind::IsaDebug
        );
        problems.unless(
            is_known,
            format!("{at}.target.type"),
            format!("serial ports of the kind '{kind}' are not supported"),
        );
    }
}

fn check_console(console: &Console, problems: &mut Problems) {
    let Console { name, tty: _, source, log: _, target, alias: _, address } = console;
    let at = format!("devices.consoles[{name}]");
    check_char_source(source.as_ref(), &at, problems);
    check_address(address.as_ref(), &at, problems);
    if let Some(ConsoleTarget { r#type: Some(kind), port: _ }) = target {
        let is_known = matches!(kind, ConsoleTargetKind::Serial | ConsoleTargetKind::Virtio);
        problems.unless(
            is_known,
            format!("{at}.target.type"),
            format!("consoles of the kind '{kind}' are not supported"),
        );
    }
}

fn check_channel(channel: &Channel, problems: &mut Problems) {
    let Channel { name, source, log: _, target, alias: _, address } = channel;
    let at = format!("devices.channels[{name}]");
    check_char_source(source.as_ref(), &at, problems);
    check_address(address.as_ref(), &at, problems);
    if let Some(ChannelTarget { r#type: kind, address, port, name: _, state: _ }) = target {
        refuse!(problems, format!("{at}.target"), "channels": address port);
        let is_known = *kind == ChannelTargetKind::Virtio;
        problems.unless(
            is_known,
            format!("{at}.target.type"),
            format!("channels of the kind '{kind}' are not supported"),
        );
    }
}

fn check_char_source(source: Option<&CharSource>, at: &str, problems: &mut Problems) {
    let Some(source) = source else { return };
    let what = format!("{at}.source.{}", source.tag());
    match source {
        CharSource::Null(_) => {}
        CharSource::Pty(CharSourcePath { path: _, seclabels }) => {
            refuse!(problems, what, "character devices": seclabels)
        }
        CharSource::File(CharSourceFile { path: _, append: _, seclabels }) => {
            refuse!(problems, what, "character devices": seclabels);
        }
        CharSource::Unix(CharSourceUnix { mode: _, path: _, reconnect, seclabels }) => {
            refuse!(problems, what, "character devices": reconnect seclabels);
        }
        CharSource::Vc(_)
        | CharSource::Dev(_)
        | CharSource::Pipe(_)
        | CharSource::Stdio(_)
        | CharSource::Udp(_)
        | CharSource::Tcp(_)
        | CharSource::Spicevmc(_)
        | CharSource::Spiceport(_)
        | CharSource::Nmdm(_)
        | CharSource::QemuVdagent(_)
        | CharSource::Dbus(_) => {
            let kind = source.tag();
            problems.unsupported(
                format!("{at}.source"),
                format!("character devices of the type '{kind}' are not supported"),
            );
        }
    }
}

fn check_input(input: &Input, problems: &mut Problems) {
    let Input { name, r#type: kind, bus, alias: _, address, model, driver, source } = input;
    let at = format!("devices.inputs[{name}]");
    refuse!(problems, at, "input devices": model driver source);
    check_address(address.as_ref(), &at, problems);
    let is_known = matches!(kind, InputKind::Mouse | InputKind::Tablet | InputKind::Keyboard);
    problems.unless(is_known, format!("{at}.type"), format!("input devices of the kind '{kind}' are not supported"));
    if let Some(bus @ (InputBus::Xen | InputBus::Parallels | InputBus::None)) = bus {
        problems.unsupported(format!("{at}.bus"), format!("QEMU has no input device on the bus '{bus}'"));
    }
}

fn check_rng(rng: &Rng, problems: &mut Problems) {
    let Rng { name, model, backend, alias: _, address, rate, driver } = rng;
    let at = format!("devices.rngs[{name}]");
    refuse!(problems, at, "sources of random numbers": rate driver);
    check_address(address.as_ref(), &at, problems);
    problems.unless(
        *model == VirtioModel::Virtio,
        format!("{at}.model"),
        format!("the model '{model}' is not supported"),
    );
    let is_known = matches!(backend, RngBackend::Random(_));
    let message = format!("random numbers from '{}' are not supported", backend.tag());
    problems.unless(is_known, format!("{at}.backend"), message);
}

fn check_virtio(options: &VirtioOptions, at: &str, problems: &mut Problems) {
    let VirtioOptions { iommu, ats, packed, page_per_vq } = options;
    refuse!(problems, at, "virtio devices": iommu ats packed page_per_vq);
}

fn check_boot(boot: Option<&Boot>, at: &str, problems: &mut Problems) {
    let Some(Boot { order: _, loadparm }) = boot else { return };
    refuse!(problems, format!("{at}.boot"), "PCs": loadparm);
}

fn check_address(address: Option<&Address>, at: &str, problems: &mut Problems) {
    match address {
        Some(Address::Pci(address)) => {
            let zpci = &address.zpci;
            refuse!(problems, format!("{at}.address.pci"), "PCs": zpci);
        }
        Some(Address::SpaprVio(_) | Address::VirtioS390(_) | Address::Ccw(_) | Address::Dimm(_)) => {
            problems.unsupported(format!("{at}.address"), "a PC has no such address for this device");
        }
        _ => {}
    }
}

/// Ends of a run that this driver can carry out.
fn check_life(domain: &Domain, problems: &mut Problems) {
    let life = [("on_poweroff", domain.on_poweroff), ("on_reboot", domain.on_reboot), ("on_crash", domain.on_crash)];
    for (field, action) in life {
        let action = action.unwrap_or(Action::Destroy);
        let is_right = matches!(action, Action::Destroy | Action::Restart | Action::Preserve);
        problems.unless(
            is_right,
            field,
            format!("the action '{action}' is not supported: destroy, restart and preserve are"),
        );
    }
    // QEMU tells one from the other only by what it does at the second.
    let contradicts = domain.on_poweroff == Some(Action::Restart) && domain.on_reboot == Some(Action::Destroy);
    problems.unless(
        !contradicts,
        "on_reboot",
        "a guest that is restarted when it powers off can't be ended when it reboots",
    );
}
