//! `<clock>`, `<on_…>` and `<pm>`: time, and the ends of a guest's run.

use ostler_conf_derive::element;

use crate::values::YesNo;
use crate::words;

/// `<clock offset='utc'>`: the guest's clock.
#[element]
pub struct Clock {
    /// What it starts from.
    #[xml(attr)]
    pub offset: ClockOffset,
    /// The time zone, with `timezone`.
    #[xml(attr)]
    pub timezone: Option<String>,
    /// Its timers.
    #[xml(name = "timer")]
    pub timers: Vec<Timer>,
}

words! {
    /// What a clock starts from.
    pub enum ClockOffset {
        /// Universal time.
        Utc = "utc",
        /// The host's local time.
        Localtime = "localtime",
        /// A time zone.
        Timezone = "timezone",
    }

    /// A timer's name.
    pub enum TimerName {
        /// The hypervisor's platform timer.
        Platform = "platform",
        /// The programmable interval timer.
        Pit = "pit",
        /// The real-time clock.
        Rtc = "rtc",
        /// The high-precision event timer.
        Hpet = "hpet",
        /// The time stamp counter.
        Tsc = "tsc",
        /// KVM's clock.
        Kvmclock = "kvmclock",
        /// Hyper-V's clock.
        Hypervclock = "hypervclock",
        /// Arm's virtual timer.
        Armvtimer = "armvtimer",
    }

    /// What happens to missed ticks.
    pub enum TickPolicy {
        /// They come late.
        Delay = "delay",
        /// They come faster until it has caught up.
        Catchup = "catchup",
        /// They become one.
        Merge = "merge",
        /// They are dropped.
        Discard = "discard",
    }

    /// What happens at an end of a guest's run.
    pub enum LifecycleAction {
        /// The guest ends.
        Destroy = "destroy",
        /// The guest starts again.
        Restart = "restart",
        /// The guest starts again under another name.
        RenameRestart = "rename-restart",
        /// The guest stays, stopped.
        Preserve = "preserve",
        /// Its memory is dumped, then it ends.
        CoredumpDestroy = "coredump-destroy",
        /// Its memory is dumped, then it starts again.
        CoredumpRestart = "coredump-restart",
    }
}

/// `<timer name='rtc' tickpolicy='catchup'/>`: one of the clock's timers.
#[element]
pub struct Timer {
    /// Which.
    #[xml(attr)]
    pub name: TimerName,
    /// What happens to missed ticks.
    #[xml(attr)]
    pub tickpolicy: Option<TickPolicy>,
    /// Whether the guest has it.
    #[xml(attr)]
    pub present: Option<YesNo>,
}

/// `<pm>`: sleep states that the firmware offers.
#[element]
pub struct Pm {
    /// Suspend to memory (S3).
    #[xml(name = "suspend-to-mem")]
    pub suspend_to_mem: Option<PmState>,
    /// Suspend to disk (S4).
    #[xml(name = "suspend-to-disk")]
    pub suspend_to_disk: Option<PmState>,
}

/// `<suspend-to-mem enabled='no'/>`: one sleep state.
#[element]
pub struct PmState {
    /// Whether it is offered.
    #[xml(attr)]
    pub enabled: Option<YesNo>,
}
