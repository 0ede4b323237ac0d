//! What virtio devices have in common.

use ostler_conf::domain::{Address, VirtioModel, VirtioOptions};

use super::props::Props;

/// QEMU's name of a virtio device: it tells how the device is plugged in.
pub(crate) fn driver(base: &str, model: Option<VirtioModel>, address: &Option<Address>) -> String {
    let bus = match address {
        Some(Address::Ccw(_)) => "-ccw",
        Some(Address::VirtioMmio(_)) => "-device",
        _ => "-pci",
    };
    let generation = match model {
        Some(VirtioModel::Transitional) => "-transitional",
        Some(VirtioModel::NonTransitional) => "-non-transitional",
        Some(VirtioModel::Virtio) | None => "",
    };
    format!("{base}{bus}{generation}")
}

/// The first properties of a virtio device.
pub(crate) fn device(
    base: &str,
    model: Option<VirtioModel>,
    address: &Option<Address>,
    options: Option<&VirtioOptions>,
) -> Props {
    Props::driver(driver(base, model, address)).virtio(options)
}

impl Props {
    /// The options that all virtio devices have.
    pub(crate) fn virtio(self, options: Option<&VirtioOptions>) -> Self {
        let Some(options) = options else { return self };
        self.maybe("iommu_platform", options.iommu.map(|on| on.0))
            .maybe("ats", options.ats.map(|on| on.0))
            .maybe("packed", options.packed.map(|on| on.0))
            .maybe("page-per-vq", options.page_per_vq.map(|on| on.0))
    }
}
