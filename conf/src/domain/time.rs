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
    /// The seconds beside it, with `variable`; `reset`: as if newly defined.
    #[xml(attr)]
    pub adjustment: Option<String>,
    /// What these are counted from.
    #[xml(attr)]
    pub basis: Option<ClockBasis>,
    /// The seconds from which a running guest began, of universal time: what it tells of its clock is counted from there.
    #[xml(live, attr)]
    pub adjustment0: Option<i64>,
    /// The time zone, with `timezone`.
    #[xml(attr)]
    pub timezone: Option<String>,
    /// The time in seconds since 1970, with `absolute`.
    #[xml(attr)]
    pub start: Option<u64>,
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
        /// Some seconds beside.
        Variable = "variable",
        /// A time zone.
        Timezone = "timezone",
        /// A time.
        Absolute = "absolute",
    }

    /// What a clock's adjustment is counted from.
    pub enum ClockBasis { Utc = "utc", Localtime = "localtime", }

    /// What a timer follows.
    pub enum TimerTrack { Boot = "boot", Guest = "guest", Wall = "wall", Realtime = "realtime", }

    /// How a time stamp counter is done.
    pub enum TimerMode {
        Auto = "auto", Native = "native", Emulate = "emulate", Paravirt = "paravirt", Smpsafe = "smpsafe",
    }

    /// What happens when a lock is lost.
    pub enum LockFailureAction { Poweroff = "poweroff", Restart = "restart", Pause = "pause", Ignore = "ignore", }

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
    /// The timer.
    #[xml(attr)]
    pub name: TimerName,
    /// Whether the guest has it.
    #[xml(attr)]
    pub present: Option<YesNo>,
    /// What happens to missed ticks.
    #[xml(attr)]
    pub tickpolicy: Option<TickPolicy>,
    /// What it follows.
    #[xml(attr)]
    pub track: Option<TimerTrack>,
    /// How fast it is, in Hz.
    #[xml(attr)]
    pub frequency: Option<u64>,
    /// How it is done.
    #[xml(attr)]
    pub mode: Option<TimerMode>,
    /// How it catches up.
    pub catchup: Option<Catchup>,
}

/// `<catchup threshold='123' slew='120' limit='10000'/>`: how a timer catches up.
#[element]
pub struct Catchup {
    /// From how many missed nanoseconds.
    #[xml(attr)]
    pub threshold: Option<u64>,
    /// How fast.
    #[xml(attr)]
    pub slew: Option<u64>,
    /// How much at most.
    #[xml(attr)]
    pub limit: Option<u64>,
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

impl Clock {
    /// A clock without more words.
    pub fn new(offset: ClockOffset) -> Self {
        let timers = Vec::new();
        Clock { offset, adjustment: None, basis: None, adjustment0: None, timezone: None, start: None, timers }
    }

    /// The seconds beside its basis, of one that varies.
    pub fn seconds(&self) -> Option<i64> {
        let seconds = || self.adjustment.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        (self.offset == ClockOffset::Variable).then(seconds)
    }

    /// A run begins, where local time is so many seconds ahead of universal time: from now on one that varies is counted from
    /// the latter.
    pub fn begin(&mut self, ahead: i64) {
        let Some(seconds) = self.seconds() else { return };
        let zone = if self.basis == Some(ClockBasis::Localtime) { ahead } else { 0 };
        let seconds = seconds.saturating_add(zone);
        (self.adjustment, self.basis) = (Some(seconds.to_string()), Some(ClockBasis::Utc));
        self.adjustment0 = Some(seconds).filter(|seconds| *seconds != 0);
    }

    /// The guest has set its clock to so many seconds beside where its run began; gives what this is beside universal time,
    /// if it is known.
    pub fn set(&mut self, seconds: i64) -> i64 {
        if self.offset != ClockOffset::Variable {
            return seconds;
        }
        let seconds = seconds.saturating_add(self.adjustment0.unwrap_or(0));
        self.adjustment = Some(seconds.to_string());
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varying(adjustment: &str, basis: ClockBasis) -> Clock {
        Clock { adjustment: Some(adjustment.to_owned()), basis: Some(basis), ..Clock::new(ClockOffset::Variable) }
    }

    #[test]
    fn what_a_guest_sets_is_counted_from_the_begin_of_its_run() {
        let mut clock = varying("3600", ClockBasis::Localtime);
        clock.begin(7200);
        let begun = Clock { adjustment0: Some(10_800), ..varying("10800", ClockBasis::Utc) };
        assert_eq!(clock, begun);
        assert_eq!((clock.set(10), clock.set(-20)), (10_810, 10_780), "each is the sum of all");
        assert_eq!(clock, Clock { adjustment: Some("10780".to_owned()), ..begun });
        let mut clock = varying("0", ClockBasis::Utc);
        clock.begin(7200);
        assert_eq!((clock.adjustment0, clock.set(5), clock.seconds()), (None, 5, Some(5)));
    }

    #[test]
    fn one_that_does_not_vary_stays() {
        for offset in [ClockOffset::Utc, ClockOffset::Localtime, ClockOffset::Timezone, ClockOffset::Absolute] {
            let mut clock = Clock::new(offset);
            clock.begin(7200);
            assert_eq!((clock.set(10), &clock), (10, &Clock::new(offset)));
        }
    }
}
