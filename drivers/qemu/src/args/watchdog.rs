//! `<watchdog>`: what acts when the guest hangs.

use ostler_conf::domain::{WatchdogAction as Action, WatchdogModel as Model};
use ostler_driver::Result;

use super::{Args, Props, Setup, alias};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let list = &setup.domain.devices.watchdogs;
    for watchdog in list {
        match watchdog.model {
            Model::Itco => args.option("-global", "ICH9-LPC.noreboot=off"),
            model => {
                let props = Props::driver(model.word()).put("id", alias(&watchdog.alias));
                args.device(setup, props.address(setup.domain, &watchdog.address)?);
            }
        }
    }
    // There is one action for all of them; `check` refuses two.
    if let Some(first) = list.first() {
        let action = first.action.unwrap_or(Action::Reset);
        args.option("-watchdog-action", if action == Action::Dump { "pause" } else { action.word() });
    }
    Ok(())
}
