//! Suites of devices of the host.

use ostler_conf::node_device::{Capability, StorageCapability, StorageDevice};
use ostler_conf::{Invalid, NodeDevice, format, parse};

use super::case::{Case, Verdict};
use super::compare::verdict;

pub(super) fn device(case: &Case) -> Verdict {
    let run = |text: &str| -> Result<String, Invalid> {
        let mut device = parse::<NodeDevice>(text)?.value;
        device.validate()?;
        for capability in &mut device.capabilities {
            if let Capability::Storage(storage) = capability {
                count_blocks(storage);
            }
        }
        if case.param("inactive").as_bool() == Some(true) {
            device = device.into_definition();
        }
        Ok(format(&device))
    };
    verdict(case, run(&case.input()?))
}

/// The host of these cases has blocks of 2048 bytes on media that are there, else of 512.
fn count_blocks(storage: &mut StorageDevice) {
    let media = storage.capabilities.iter_mut().find_map(|capability| match capability {
        StorageCapability::Removable(media) => Some(media),
        StorageCapability::Hotpluggable(_) => None,
    });
    let (size, block, blocks, length) = match media {
        Some(media) if media.media_available == Some(1) => {
            (media.media_size, &mut media.logical_block_size, &mut media.num_blocks, 2048)
        }
        _ => (storage.size, &mut storage.logical_block_size, &mut storage.num_blocks, 512),
    };
    (*block, *blocks) = (Some(length), size.map(|size| size / length));
}
