//! `<iommu>`: what translates the addresses of devices.

use ostler_conf::domain::IommuModel;
use ostler_driver::Result;

use super::{Args, Props, Setup, alias, on_off};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(iommu) = &setup.domain.devices.iommu else { return Ok(()) };
    let name = alias(&iommu.alias);
    match iommu.model {
        IommuModel::Intel => {
            let driver = iommu.driver.as_ref();
            let word = |on: Option<ostler_conf::values::OnOff>| on.map(|on| on_off(on.0));
            let switch = |on: Option<ostler_conf::values::OnOff>| on.map(|on| on.0);
            args.device(
                setup,
                Props::driver("intel-iommu")
                    .put("id", name)
                    .maybe("intremap", word(driver.and_then(|driver| driver.intremap)))
                    .maybe("caching-mode", switch(driver.and_then(|driver| driver.caching_mode)))
                    .maybe("eim", word(driver.and_then(|driver| driver.eim)))
                    .maybe("device-iotlb", switch(driver.and_then(|driver| driver.iotlb)))
                    .maybe("aw-bits", driver.and_then(|driver| driver.aw_bits).filter(|bits| *bits > 0))
                    .maybe("dma-translation", switch(driver.and_then(|driver| driver.dma_translation))),
            );
        }
        IommuModel::Virtio => {
            let props = Props::driver("virtio-iommu").put("id", name).address(setup.domain, &iommu.address)?;
            args.device(setup, props);
        }
        // It is part of the machine.
        IommuModel::Smmuv3 => {}
    }
    Ok(())
}
