//! The guest's clock and its timers.

use ostler_conf::domain::{Clock, ClockBasis, ClockOffset, TickPolicy, Timer, TimerName, TimerTrack};
use ostler_driver::Result;

use super::{Args, Setup, machine};
use crate::probe::Flag;

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let clock = setup.domain.clock.as_ref();
    args.option("-rtc", rtc(setup, clock));
    if let Some(zone) = clock.and_then(|clock| clock.timezone.as_ref()) {
        args.env("TZ", zone.clone());
    }
    let pit = timer(clock, TimerName::Pit).filter(|_| setup.capabilities.has(Flag::KvmPitLostTickPolicy));
    if let Some(pit) = pit {
        match pit.tickpolicy {
            Some(TickPolicy::Delay) | None => args.option("-global", "kvm-pit.lost_tick_policy=delay"),
            Some(TickPolicy::Discard) => args.option("-global", "kvm-pit.lost_tick_policy=discard"),
            // To catch up is what it does by itself.
            Some(TickPolicy::Catchup | TickPolicy::Merge) => {}
        }
    }
    if machine::is_present(clock, TimerName::Hpet) == Some(false) && !setup.capabilities.has(Flag::MachineHpet) {
        args.flag("-no-hpet");
    }
    Ok(())
}

fn timer(clock: Option<&Clock>, name: TimerName) -> Option<&Timer> {
    clock?.timers.iter().find(|timer| timer.name == name)
}

fn rtc(setup: &Setup<'_>, clock: Option<&Clock>) -> String {
    let base = match clock {
        Some(clock) => match clock.offset {
            ClockOffset::Utc => "utc".to_owned(),
            // A time zone of its own comes by the environment.
            ClockOffset::Localtime | ClockOffset::Timezone => "localtime".to_owned(),
            ClockOffset::Variable => {
                let adjustment = clock.seconds().unwrap_or(0);
                let zone = if clock.basis == Some(ClockBasis::Localtime) { setup.runtime.utc_offset } else { 0 };
                date((setup.runtime.now + zone).saturating_add(adjustment))
            }
            ClockOffset::Absolute => date(i64::try_from(clock.start.unwrap_or(0)).unwrap_or(i64::MAX)),
        },
        None => "utc".to_owned(),
    };
    let rtc = timer(clock, TimerName::Rtc);
    let track = match rtc.and_then(|rtc| rtc.track) {
        Some(TimerTrack::Guest) => ",clock=vm",
        Some(TimerTrack::Wall) => ",clock=host",
        Some(TimerTrack::Realtime) => ",clock=rt",
        Some(TimerTrack::Boot) | None => "",
    };
    let policy = match rtc.and_then(|rtc| rtc.tickpolicy) {
        Some(TickPolicy::Catchup) => ",driftfix=slew",
        _ => "",
    };
    format!("base={base}{track}{policy}")
}

/// The date and time of day, in UTC, of seconds since 1970.
fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March: the leap day is their last. Four hundred of them have 146097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, from_january) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + i64::from(from_january <= 2);
    format!("{year:04}-{from_january:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_234_567_890, "2009-02-13T23:31:30"),
            (253_402_300_799, "9999-12-31T23:59:59"),
            (-1, "1969-12-31T23:59:59"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
