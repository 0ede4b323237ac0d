//! Devices with little to say, and those that need something of the host.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, AudioKind, Controller, ControllerKind, ControllerModel, CryptoBackend, Devices, Filesystem,
    FilesystemDriverKind, FilesystemSource, Input, InputBus, InputKind, Memballoon, MemballoonModel, MemoryDevice,
    MemoryModel, Rng, RngBackend, ShmemModel, TpmBackend, TpmEmulator, Watchdog, WatchdogModel,
};
use ostler_conf::xml::Union as _;

use super::{Problems, Says, camel_case, chardevs, display, interfaces, storage};
use crate::args::controller_driver;
use crate::complete::{Arch, Host, arch};

/// A guest may fill it, on the disk that the agent's own state is on. Kernels leave some KiB.
const MOST_LAST_WORDS: u64 = 64 << 20;

pub(super) fn check(domain: &Domain, devices: &Devices, host: &Host, problems: &mut Problems) {
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
        sounds: _,
        videos,
        hostdevs,
        redirdevs,
        redirfilter: _,
        hubs: _,
        nvram: _,
        panics: _,
        shmems,
        memories,
        iommu: _,
        vsock,
        cryptos,
        pstore,
    } = devices;
    let last_words = pstore.as_ref().and_then(|pstore| pstore.path.as_deref());
    problems.absolute(last_words, "devices.pstore.path");
    let room = pstore.as_ref().and_then(|pstore| pstore.size.as_ref()).map_or(0, |size| size.0.bytes());
    let message = format!("last words have {} MiB at most", MOST_LAST_WORDS >> 20);
    problems.unless(room <= MOST_LAST_WORDS, "devices.pstore.size", message);
    for shmem in shmems {
        let at = format!("devices.shmems[{}].server", shmem.name);
        let is_served = shmem.model != Some(ShmemModel::Doorbell) || shmem.server.is_some();
        problems.unless(is_served, &*at, "name the socket of the server that hands the memory out");
        problems.absolute(shmem.server.as_deref(), at);
    }
    refuse!(problems, "devices", "QEMU guests": leases hostdevs vsock);
    disks.iter().for_each(|disk| storage::check(disk, problems));
    controllers.iter().for_each(|controller| check_controller(controller, problems));
    interfaces.iter().for_each(|interface| interfaces::check(interface, problems));
    chardevs::check(serials, parallels, consoles, channels, problems);
    chardevs::check_smartcards(smartcards, problems);
    for device in redirdevs {
        chardevs::check_source(Some(&device.source), &format!("devices.redirdevs[{}]", device.name), problems);
    }
    display::check(graphics, videos, host, problems);
    inputs.iter().for_each(|input| check_input(input, problems));
    rngs.iter().for_each(|rng| check_rng(rng, problems));
    memories.iter().for_each(|memory| check_memory(memory, problems));
    filesystems.iter().for_each(|filesystem| check_filesystem(filesystem, problems));
    for tpm in tpms {
        check_tpm(&tpm.backend, &format!("devices.tpms[{}].backend", tpm.name), problems);
    }
    for crypto in cryptos {
        let is_own = matches!(crypto.backend, CryptoBackend::Builtin(_));
        let kind = crypto.backend.tag();
        let path = format!("devices.cryptos[{}].backend", crypto.name);
        problems.unless(is_own, path, format!("ciphers of the kind '{kind}' are not supported"));
    }
    for audio in audios {
        let is_ours = matches!(audio.kind, AudioKind::None(_) | AudioKind::Spice(_));
        let kind = audio.kind.tag();
        let path = format!("devices.audios[{}].kind", audio.name);
        let message = format!("sound of the kind '{kind}' needs the sound of this host, which guests don't get");
        problems.unless(is_ours, path, message);
    }
    for watchdog in watchdogs {
        let Watchdog { name, model, action: _, alias: _, address: _ } = watchdog;
        let fits = *model != WatchdogModel::Diag288 || arch(domain) == Arch::S390;
        problems.unless(fits, format!("devices.watchdogs[{name}].model"), "only s390 has the watchdog 'diag288'");
    }
    if let Some(balloon) = memballoon {
        let Memballoon { model, alias: _, address: _, autodeflate: _, free_page_reporting: _, stats: _, driver: _ } =
            balloon;
        let is_known = *model != MemballoonModel::Xen;
        problems.unless(is_known, "devices.memballoon.model", format!("the model '{model}' is not supported"));
    }
}

fn check_controller(controller: &Controller, problems: &mut Problems) {
    let at = format!("devices.controllers[{}]", controller.name);
    let Controller {
        r#type,
        driver: _,
        target: _,
        address: _,
        name: _,
        index: _,
        model,
        ports: _,
        model_name: _,
        alias: _,
        vectors: _,
        max_grant_frames,
        max_event_channels,
        pcihole64: _,
        master: _,
    } = controller;
    refuse!(problems, at, "controllers": max_grant_frames max_event_channels);
    let is_known = !matches!(r#type, ControllerKind::Xenbus | ControllerKind::Isa);
    problems.unless(is_known, format!("{at}.type"), format!("controllers of the kind '{}' are not supported", r#type));
    let is_silent = matches!(
        (r#type, model),
        (ControllerKind::Pci, Some(ControllerModel::PciRoot | ControllerModel::PcieRoot))
            | (ControllerKind::Usb, Some(ControllerModel::None))
            | (ControllerKind::Fdc | ControllerKind::Ide | ControllerKind::Nvme, _)
    );
    let model = model.map(ControllerModel::word).unwrap_or("without a model");
    // The first controller of some machines is part of them.
    let is_on_board = matches!(controller.address, Some(Address::SpaprVio(_))) || controller.index == Some(0);
    let is_done = is_silent || is_on_board || controller_driver(controller).is_some();
    problems.unless(is_done, format!("{at}.model"), format!("the {} controller '{model}' is not supported", r#type));
}

fn check_input(input: &Input, problems: &mut Problems) {
    let Input { name, r#type: kind, bus, alias: _, address: _, model: _, driver: _, source } = input;
    let at = format!("devices.inputs[{name}]");
    refuse!(problems, at, "input devices": source);
    let is_known = matches!(kind, InputKind::Mouse | InputKind::Tablet | InputKind::Keyboard);
    problems.unless(is_known, format!("{at}.type"), format!("input devices of the kind '{kind}' are not supported"));
    if let Some(bus @ (InputBus::Xen | InputBus::Parallels | InputBus::None)) = bus {
        problems.unsupported(format!("{at}.bus"), format!("QEMU has no input device on the bus '{bus}'"));
    }
}

fn check_rng(rng: &Rng, problems: &mut Problems) {
    let Rng { name, model: _, backend, alias: _, address: _, rate: _, driver: _ } = rng;
    if let RngBackend::Egd(egd) = backend {
        chardevs::check_source(Some(&egd.source), &format!("devices.rngs[{name}].backend"), problems);
    }
}

fn check_memory(memory: &MemoryDevice, problems: &mut Problems) {
    let at = format!("devices.memories[{}]", memory.name);
    let MemoryDevice { name: _, model, access: _, discard: _, uuid: _, source, target: _, .. } = memory;
    problems.unless(
        *model != MemoryModel::SgxEpc,
        format!("{at}.model"),
        format!("memory of the kind '{model}' is not supported"),
    );
    let path = source.as_ref().and_then(|source| source.path.as_ref());
    match model {
        MemoryModel::Nvdimm | MemoryModel::VirtioPmem => {
            problems.absolute(path.map(String::as_str), format!("{at}.source.path"));
        }
        MemoryModel::Dimm | MemoryModel::VirtioMem | MemoryModel::SgxEpc => {
            refuse!(problems, format!("{at}.source"), "memory": path);
        }
    }
}

fn check_filesystem(filesystem: &Filesystem, problems: &mut Problems) {
    let at = format!("devices.filesystems[{}]", filesystem.name);
    let Filesystem { idmap, space_hard_limit, space_soft_limit, binary, .. } = filesystem;
    refuse!(problems, at, "file systems": idmap space_hard_limit space_soft_limit binary);
    let driver = filesystem.driver.as_ref().and_then(|driver| driver.r#type);
    let kind = driver.map_or("path", FilesystemDriverKind::word);
    problems.unless(
        matches!(driver, None | Some(FilesystemDriverKind::Path)),
        format!("{at}.driver.type"),
        format!("file systems of the kind '{kind}' are not supported"),
    );
    match &filesystem.source {
        FilesystemSource::Mount(mount) => problems.absolute(mount.dir.as_deref(), format!("{at}.source.mount.dir")),
        other => {
            let kind = other.tag();
            problems
                .unsupported(format!("{at}.source"), format!("file systems of the type '{kind}' are not supported"));
        }
    }
}

fn check_tpm(backend: &TpmBackend, at: &str, problems: &mut Problems) {
    let TpmBackend::Emulator(emulator) = backend else {
        return problems.unsupported(at, format!("TPMs of the kind '{}' are not supported", backend.tag()));
    };
    let TpmEmulator { version: _, persistent_state: _, debug, encryption, active_pcr_banks, source, profile } =
        emulator;
    refuse!(problems, format!("{at}.emulator"), "TPMs": debug encryption active_pcr_banks source profile);
}
