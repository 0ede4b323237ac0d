//! Names of devices other than disks: labels for people and for lists, which never reach the guest.

use super::{DeviceLabel, Domain, Metadata, OstlerMark};
use crate::values::digits;

/// Calls `$visit!(element, prefix, list)` for each list of named devices.
macro_rules! each_list {
    ($devices:expr, $visit:ident) => {
        $visit!("controller", "controller", $devices.controllers);
        $visit!("lease", "lease", $devices.leases);
        $visit!("filesystem", "fs", $devices.filesystems);
        $visit!("interface", "net", $devices.interfaces);
        $visit!("smartcard", "smartcard", $devices.smartcards);
        $visit!("serial", "serial", $devices.serials);
        $visit!("parallel", "parallel", $devices.parallels);
        $visit!("console", "console", $devices.consoles);
        $visit!("channel", "channel", $devices.channels);
        $visit!("input", "input", $devices.inputs);
        $visit!("tpm", "tpm", $devices.tpms);
        $visit!("graphics", "graphics", $devices.graphics);
        $visit!("sound", "sound", $devices.sounds);
        $visit!("audio", "audio", $devices.audios);
        $visit!("video", "video", $devices.videos);
        $visit!("hostdev", "hostdev", $devices.hostdevs);
        $visit!("redirdev", "redirdev", $devices.redirdevs);
        $visit!("hub", "hub", $devices.hubs);
        $visit!("watchdog", "watchdog", $devices.watchdogs);
        $visit!("rng", "rng", $devices.rngs);
        $visit!("panic", "panic", $devices.panics);
        $visit!("memory", "memory", $devices.memories);
        $visit!("crypto", "crypto", $devices.cryptos);
    };
}

impl Domain {
    /// Gives every unnamed device a name: the one our metadata holds, else prefix and number (`net0`), the same on every run.
    pub fn label_devices(&mut self) {
        let labels = match &mut self.metadata {
            Some(Metadata { ostler: Some(mark), .. }) => std::mem::take(&mut mark.labels),
            _ => Vec::new(),
        };
        macro_rules! name {
            ($kind:literal, $prefix:literal, $list:expr) => {
                for index in 0..$list.len() {
                    if !$list[index].name.is_empty() {
                        continue;
                    }
                    // What room the name had is used again.
                    let mut name = std::mem::take(&mut $list[index].name);
                    let stored = labels.iter().find(|label| label.kind == $kind && label.index as usize == index);
                    match stored {
                        Some(label) => name.push_str(&label.name),
                        None => make_name(&mut name, $prefix, index, |name| $list.iter().any(|d| d.name == name)),
                    }
                    $list[index].name = name;
                }
            };
        }
        each_list!(self.devices, name);
        self.forget_labels();
    }

    /// The names are with the devices now; in the metadata they are only on paper.
    fn forget_labels(&mut self) {
        let Some(metadata) = &mut self.metadata else { return };
        if metadata.ostler.is_none() {
            return;
        }
        metadata.ostler.take_if(|mark| *mark == OstlerMark::default());
        self.metadata.take_if(|metadata| *metadata == Metadata::default());
    }

    /// The names that would not be made again.
    fn labels(&self) -> Vec<DeviceLabel> {
        let mut labels = Vec::new();
        macro_rules! collect {
            ($kind:literal, $prefix:literal, $list:expr) => {
                for (index, device) in $list.iter().enumerate() {
                    if !device.name.is_empty() && !is_made(&device.name, $prefix, index) {
                        let index = u32::try_from(index).expect("fewer devices than 2^32");
                        labels.push(DeviceLabel { kind: $kind.to_owned(), index, name: device.name.clone() });
                    }
                }
            };
        }
        each_list!(self.devices, collect);
        labels
    }

    /// The domain with its devices' names in its metadata, where that needs a change.
    pub(super) fn with_labels(&self) -> Option<Domain> {
        let labels = self.labels();
        if labels == self.mark().map_or(&[][..], |mark| &mark.labels) {
            return None;
        }
        let mut domain = self.clone();
        let mark = domain.metadata.get_or_insert_with(Metadata::default).ostler.get_or_insert_with(OstlerMark::default);
        mark.labels = labels;
        Some(domain)
    }
}

/// The first name that is free: `prefix` and a number, from the device's place on.
fn make_name(name: &mut String, prefix: &str, index: usize, is_taken: impl Fn(&str) -> bool) {
    for number in index.. {
        name.clear();
        name.push_str(prefix);
        digits::append(name, number as u64, 10, 1);
        if !is_taken(name) {
            return;
        }
    }
}

/// Whether the name is the one that a device at this place is given: prefix and number.
pub(super) fn is_made(name: &str, prefix: &str, index: usize) -> bool {
    let is_plain = |number: &&str| number.bytes().all(|byte| byte.is_ascii_digit());
    let number = name.strip_prefix(prefix).filter(is_plain).filter(|number| *number == "0" || !number.starts_with('0'));
    number.and_then(|number| number.parse().ok()) == Some(index)
}

#[cfg(test)]
mod tests {
    use crate::{Domain, format, parse};

    const TWO_NICS: &str = "<domain type='test'>
  <name>web</name>
  <memory unit='KiB'>1024</memory>
  <devices>
    <interface type='user'/>
    <interface type='user'/>
  </devices>
</domain>
";

    #[test]
    fn made_names_leave_no_trace() {
        let domain = parse::<Domain>(TWO_NICS).unwrap().strict().unwrap();
        assert_eq!(domain.devices.interfaces[1].name, "net1");
        assert!(!format(&domain).contains("ostler"));
    }

    #[test]
    fn given_names_travel_in_the_metadata() {
        let mut domain = parse::<Domain>(TWO_NICS).unwrap().strict().unwrap();
        domain.devices.interfaces[1].name = "uplink".into();
        let text = format(&domain);
        let again = parse::<Domain>(&text).unwrap().strict().unwrap();
        assert_eq!(again.devices.interfaces[1].name, "uplink");
        assert_eq!(again, domain, "what was read is what was written");
        assert_eq!(format(&again), text);
    }

    #[test]
    fn foreign_metadata_stays_as_it_is() {
        let text = TWO_NICS.replace(
            "  <memory",
            "  <metadata>\n    <a:x xmlns:a=\"urn:a\">  odd &amp; </a:x>\n  </metadata>\n  <memory",
        );
        let mut domain = parse::<Domain>(&text).unwrap().strict().unwrap();
        assert_eq!(format(&domain), text);
        domain.devices.interfaces[0].name = "lan".into();
        let marked = format(&domain);
        let again = parse::<Domain>(&marked).unwrap().strict().unwrap();
        assert_eq!(again.foreign_metadata(), domain.foreign_metadata());
        assert_eq!(format(&again), marked);
    }
}
