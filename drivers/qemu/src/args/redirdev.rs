//! `<redirdev>`: USB devices that are plugged in far away.

use ostler_conf::domain::{RedirdevBus, RedirfilterRule};
use ostler_driver::Result;

use super::{Args, Props, Setup, alias, chardev};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for device in &setup.domain.devices.redirdevs {
        if !matches!(device.bus, Some(RedirdevBus::Usb) | None) {
            continue;
        }
        let name = alias(&device.alias);
        chardev::named(setup, args, name, Some(&device.source), None, "usbredir")?;
        let filter = setup
            .domain
            .devices
            .redirfilter
            .as_ref()
            .map(|filter| filter.usbdevs.iter().map(rule).collect::<Vec<_>>().join("|"));
        let props = Props::driver("usb-redir")
            .put("chardev", format!("char{name}"))
            .put("id", name)
            .maybe("filter", filter.filter(|filter| !filter.is_empty()))
            .maybe("bootindex", device.boot.as_ref().map(|boot| boot.order))
            .address(setup.domain, &device.address)?;
        args.device(setup, props);
    }
    Ok(())
}

/// A rule as QEMU reads it; -1 is any.
fn rule(rule: &RedirfilterRule) -> String {
    let number =
        |value: Option<u32>, digits: usize| value.map_or("-1".to_owned(), |value| format!("0x{value:0digits$X}"));
    let version = rule.version.as_deref().and_then(version);
    format!(
        "{}:{}:{}:{}:{}",
        number(rule.class.map(|class| class.0), 2),
        number(rule.vendor.map(|vendor| vendor.0), 4),
        number(rule.product.map(|product| product.0), 4),
        number(version, 4),
        u8::from(rule.allow.0)
    )
}

/// `1.10` → 0x0110: the two parts as decimal digits.
fn version(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let minor = if minor.len() == 1 { format!("{minor}0") } else { minor.to_owned() };
    let digits = |text: &str| u32::from_str_radix(text, 16).ok();
    Some(digits(major)? << 8 | digits(&minor)?)
}
