//! What QEMU is told on: no configuration but ours, no device but ours, and the monitor.

use ostler_driver::Result;

use super::chardev::{self, Backend};
use super::{Args, Monitor, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if setup.domain.devices.graphics.is_empty() {
        args.option("-display", "none");
    }
    args.flag("-no-user-config");
    args.flag("-nodefaults");
    let backend = match &setup.runtime.monitor {
        Monitor::Descriptor(fd) => Backend::listening_descriptor(*fd),
        Monitor::Path(path) => Backend::listening(&path.to_string_lossy()),
    };
    chardev::write(setup, args, "charmonitor", backend);
    args.option("-mon", "chardev=charmonitor,id=monitor,mode=control");
    Ok(())
}
