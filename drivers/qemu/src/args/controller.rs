//! `<controller>`: buses before what sits on them.

use ostler_conf::domain::{
    Controller, ControllerDriver, ControllerKind as Kind, ControllerModel as Model, PciModelName, VirtioModel,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::platform::{Platform, arch, is_s390};
use super::{Args, Props, Setup, address, alias, on_off, virtio};
use crate::probe::Flag;

/// Properties of a whole machine that are a controller's.
pub(super) fn globals(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for controller in setup.domain.devices.controllers.iter().filter(|other| other.r#type == Kind::Pci) {
        let platform = Platform::of(setup.domain);
        if let Some(hole) = &controller.pcihole64 {
            let bridge = match (controller.model, platform) {
                (Some(Model::PciRoot), Platform::I440fx) => "i440FX-pcihost",
                (Some(Model::PcieRoot), Platform::Q35) => "q35-pcihost",
                _ => {
                    let message = "only the root bus of an x86 machine has a hole above 4 GiB for PCI";
                    return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("devices.controllers"));
                }
            };
            args.option("-global", format!("{bridge}.pci-hole64-size={}K", hole.0.kib()));
        }
        let hotplug = controller.target.as_ref().and_then(|target| target.hotplug);
        if let Some(on) = hotplug.filter(|_| controller.model == Some(Model::PciRoot) && platform == Platform::I440fx) {
            args.option("-global", format!("PIIX4_PM.acpi-root-pci-hotplug={}", on_off(on.0)));
        }
    }
    Ok(())
}

/// Those before hubs, in libvirt's order of kinds.
pub(super) fn before_hubs(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for kind in [Kind::Pci, Kind::Usb, Kind::Scsi, Kind::Ide, Kind::Sata, Kind::VirtioSerial] {
        of_kind(setup, kind, args)?;
    }
    Ok(())
}

/// Readers of smart cards sit on USB, maybe behind a hub.
pub(super) fn after_hubs(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    of_kind(setup, Kind::Ccid, args)
}

fn of_kind(setup: &Setup<'_>, kind: Kind, args: &mut Args) -> Result<()> {
    for controller in setup.domain.devices.controllers.iter().filter(|controller| controller.r#type == kind) {
        if is_built_in(setup, controller) {
            continue;
        }
        if let Some(zpci) = address::zpci(setup.domain, &controller.address, &controller.alias) {
            args.device(setup, zpci);
        }
        let props = device(setup, controller)?;
        args.device(setup, props);
    }
    Ok(())
}

/// Whether the machine has it anyway.
fn is_built_in(setup: &Setup<'_>, controller: &Controller) -> bool {
    let platform = Platform::of(setup.domain);
    let index = controller.index.unwrap_or(0);
    match controller.r#type {
        Kind::Pci => match controller.model {
            // Further host bridges of POWER are devices.
            Some(Model::PciRoot) => {
                platform != Platform::Pseries
                    || controller.target.as_ref().and_then(|target| target.index).unwrap_or(0) == 0
            }
            model => address::is_root(model),
        },
        // s390 has none of its own, and one that no model was found for is none.
        Kind::Usb => controller.model == Some(Model::None) || (controller.model.is_none() && is_s390(setup.domain)),
        Kind::Ide => has_ide(setup, platform) && index == 0,
        Kind::Sata => index == 0 && platform == Platform::Q35,
        Kind::Fdc => true,
        Kind::Scsi => index == 0 && has_esp(setup) && controller.model == Some(Model::Ncr53c90),
        Kind::VirtioSerial | Kind::Ccid | Kind::Xenbus | Kind::Isa | Kind::Nvme => false,
    }
}

fn has_ide(setup: &Setup<'_>, platform: Platform) -> bool {
    let machine = setup.domain.os.r#type.machine.as_deref().unwrap_or_default();
    platform == Platform::I440fx || matches!(machine, "malta" | "sun4u" | "g3beige" | "mac99" | "pegasos2")
}

fn has_esp(setup: &Setup<'_>) -> bool {
    arch(setup.domain) == "sparc"
}

fn device(setup: &Setup<'_>, controller: &Controller) -> Result<Props> {
    let unsupported = || {
        let model = controller.model.map_or("without a model", Model::word);
        let message = format!("QEMU has no {} controller {model}", controller.r#type);
        Error::new(ErrorCode::ConfigUnsupported, message).at(format!("devices.controllers[{}].model", controller.name))
    };
    if controller.r#type == Kind::Usb
        && let Some(flag) = controller.model.and_then(usb_flag)
        && !setup.capabilities.has(flag)
    {
        return Err(unsupported());
    }
    let name = alias(&controller.alias);
    let driver = controller.driver.as_ref();
    let props = match controller.r#type {
        Kind::Pci => bridge(controller, self::driver(controller).ok_or_else(unsupported)?),
        Kind::Usb => usb(setup, controller, self::driver(controller).ok_or_else(unsupported)?),
        Kind::Scsi if is_virtio_scsi(controller.model) => virtio_scsi(controller, driver),
        Kind::VirtioSerial => {
            let model = virtio_model(controller.model);
            virtio::device("virtio-serial", model, &controller.address, driver.map(|driver| &driver.virtio))
                .put("id", name)
                .maybe("max_ports", controller.ports)
                .maybe("vectors", controller.vectors)
        }
        _ => Props::driver(self::driver(controller).ok_or_else(unsupported)?).put("id", name),
    };
    props.address(setup.domain, &controller.address)
}

const fn usb_flag(model: Model) -> Option<Flag> {
    Some(match model {
        Model::Piix3Uhci => Flag::Piix3UsbUhci,
        Model::Piix4Uhci => Flag::Piix4UsbUhci,
        Model::Ehci => Flag::UsbEhci,
        Model::Ich9Ehci1 | Model::Ich9Uhci1 | Model::Ich9Uhci2 | Model::Ich9Uhci3 => Flag::Ich9UsbEhci1,
        Model::Vt82c686bUhci => Flag::Vt82c686bUsbUhci,
        Model::PciOhci => Flag::PciOhci,
        Model::NecXhci => Flag::NecUsbXhci,
        Model::QemuXhci => Flag::QemuXhci,
        _ => return None,
    })
}

const fn is_virtio_scsi(model: Option<Model>) -> bool {
    matches!(model, Some(Model::VirtioScsi | Model::VirtioTransitional | Model::VirtioNonTransitional))
}

const fn virtio_model(model: Option<Model>) -> Option<VirtioModel> {
    match model {
        Some(Model::VirtioTransitional) => Some(VirtioModel::Transitional),
        Some(Model::VirtioNonTransitional) => Some(VirtioModel::NonTransitional),
        _ => None,
    }
}

fn virtio_scsi(controller: &Controller, driver: Option<&ControllerDriver>) -> Props {
    let model = virtio_model(controller.model);
    let iothread = driver.and_then(|driver| driver.iothread);
    virtio::device("virtio-scsi", model, &controller.address, driver.map(|driver| &driver.virtio))
        .maybe("iothread", iothread.map(|id| format!("iothread{id}")))
        .put("id", alias(&controller.alias))
        .maybe("num_queues", driver.and_then(|driver| driver.queues))
        .maybe("cmd_per_lun", driver.and_then(|driver| driver.cmd_per_lun))
        .maybe("max_sectors", driver.and_then(|driver| driver.max_sectors))
        .maybe("ioeventfd", driver.and_then(|driver| driver.ioeventfd).map(|on| on.0))
        .maybe("iothread-vq-mapping", driver.and_then(|driver| driver.iothreads.as_ref()).map(super::iothread::mapping))
}

fn bridge(controller: &Controller, driver: &str) -> Props {
    let target = controller.target.as_ref();
    let name = alias(&controller.alias);
    let hotplug = target.and_then(|target| target.hotplug).map(|on| on.0);
    let props = Props::driver(driver);
    let props = match controller.model {
        Some(Model::PciBridge) => props.maybe("chassis_nr", target.and_then(|target| target.chassis_nr)),
        Some(Model::PciExpanderBus | Model::PcieExpanderBus) => {
            props.maybe("bus_nr", target.and_then(|target| target.bus_nr))
        }
        Some(Model::PcieRootPort | Model::PcieSwitchDownstreamPort) => props
            .maybe("port", target.and_then(|target| target.port).map(|port| port.0))
            .maybe("chassis", target.and_then(|target| target.chassis)),
        Some(Model::PciRoot) => props.maybe("index", target.and_then(|target| target.index)),
        _ => props,
    };
    let reserves = matches!(controller.model, Some(Model::PciBridge | Model::PcieRootPort));
    let reserve = target.and_then(|target| target.mem_reserve).filter(|_| reserves);
    let props = props.maybe("mem-reserve", reserve.map(|kib| kib << 10)).put("id", name);
    let props = match controller.model {
        Some(Model::PcieRootPort | Model::PcieSwitchDownstreamPort) => props.maybe("hotplug", hotplug),
        _ => props,
    };
    let node = target.and_then(|target| target.node);
    match controller.model {
        Some(Model::PciExpanderBus | Model::PcieExpanderBus | Model::PciRoot) => props.maybe("numa_node", node),
        _ => props,
    }
}

fn usb(setup: &Setup<'_>, controller: &Controller, driver: &str) -> Props {
    let is_xhci = matches!(controller.model, Some(Model::NecXhci | Model::QemuXhci));
    let ports = controller.ports.filter(|_| is_xhci);
    let props = Props::driver(driver).maybe("p2", ports).maybe("p3", ports);
    match &controller.master {
        // A companion is part of the faster controller of its number.
        Some(master) => {
            let is_main = |other: &&Controller| {
                other.r#type == Kind::Usb && other.index == controller.index && other.master.is_none()
            };
            let main = setup.domain.devices.controllers.iter().find(is_main);
            let bus = main.map_or_else(|| alias(&controller.alias), |main| alias(&main.alias));
            props.put("masterbus", format!("{bus}.0")).put("firstport", master.startport)
        }
        None => props.put("id", alias(&controller.alias)),
    }
}

/// QEMU's name of a controller.
pub(crate) fn driver(controller: &Controller) -> Option<&'static str> {
    Some(match (controller.r#type, controller.model) {
        (Kind::Pci, Some(_)) => match controller.model_name.as_ref()?.name {
            PciModelName::PcieRootPort => "pcie-root-port",
            PciModelName::Ioh3420 => "ioh3420",
            PciModelName::PciBridge => "pci-bridge",
            PciModelName::I82801b11Bridge => "i82801b11-bridge",
            PciModelName::PciePciBridge => "pcie-pci-bridge",
            PciModelName::X3130Upstream => "x3130-upstream",
            PciModelName::Xio3130Downstream => "xio3130-downstream",
            PciModelName::Pxb => "pxb",
            PciModelName::PxbPcie => "pxb-pcie",
            PciModelName::SpaprPciHostBridge => "spapr-pci-host-bridge",
        },
        (Kind::Usb, Some(Model::Piix3Uhci)) => "piix3-usb-uhci",
        (Kind::Usb, Some(Model::Piix4Uhci)) => "piix4-usb-uhci",
        (Kind::Usb, Some(Model::Ehci)) => "usb-ehci",
        (Kind::Usb, Some(Model::Ich9Ehci1)) => "ich9-usb-ehci1",
        (Kind::Usb, Some(Model::Ich9Uhci1)) => "ich9-usb-uhci1",
        (Kind::Usb, Some(Model::Ich9Uhci2)) => "ich9-usb-uhci2",
        (Kind::Usb, Some(Model::Ich9Uhci3)) => "ich9-usb-uhci3",
        (Kind::Usb, Some(Model::Vt82c686bUhci)) => "vt82c686b-usb-uhci",
        (Kind::Usb, Some(Model::PciOhci)) => "pci-ohci",
        (Kind::Usb, Some(Model::NecXhci)) => "nec-usb-xhci",
        (Kind::Usb, Some(Model::QemuXhci)) => "qemu-xhci",
        (Kind::Scsi, Some(Model::VirtioScsi)) => "virtio-scsi-pci",
        (Kind::Scsi, Some(Model::VirtioTransitional)) => "virtio-scsi-pci-transitional",
        (Kind::Scsi, Some(Model::VirtioNonTransitional)) => "virtio-scsi-pci-non-transitional",
        (Kind::Scsi, Some(Model::Lsilogic)) => "lsi",
        (Kind::Scsi, Some(Model::Ibmvscsi)) => "spapr-vscsi",
        (Kind::Scsi, Some(Model::Lsisas1068)) => "mptsas1068",
        (Kind::Scsi, Some(Model::Lsisas1078)) => "megasas",
        (Kind::Scsi, Some(Model::Vmpvscsi)) => "pvscsi",
        (Kind::Scsi, Some(Model::Am53c974)) => "am53c974",
        (Kind::Scsi, Some(Model::Dc390)) => "dc390",
        (Kind::Sata, _) => "ahci",
        (Kind::VirtioSerial, _) => "virtio-serial-pci",
        (Kind::Ccid, _) => "usb-ccid",
        _ => return None,
    })
}
