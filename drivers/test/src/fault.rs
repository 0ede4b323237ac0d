//! Bad luck on demand.

use std::sync::Arc;
use std::time::Duration;

use ostler_driver::Error;
use ostler_util::ErrorCode;
use tokio::sync::Semaphore;

use crate::{Call, Operation};

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It fails, and nothing was done.
    Fail(ErrorCode, String),
    /// It is carried out, and fails all the same: a reply that was lost.
    FailAfter(ErrorCode, String),
    /// It takes this long.
    Delay(Duration),
    /// It waits until a permit is added.
    Hold(Arc<Semaphore>),
}

/// Which calls an effect happens to.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The kind of call.
    pub operation: Operation,
    /// Only calls on this target; absent: on any.
    pub target: Option<String>,
    /// So many calls go well first.
    pub after: u32,
    /// Then it happens so many times; absent: to each.
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// An effect on the next call of this kind, once.
    pub fn once(operation: Operation, effect: Effect) -> Self {
        Fault { operation, target: None, after: 0, times: Some(1), effect }
    }

    /// An effect on each call of this kind.
    pub fn always(operation: Operation, effect: Effect) -> Self {
        Fault { times: None, ..Fault::once(operation, effect) }
    }

    /// The same, on calls on one target only.
    pub fn on(mut self, target: impl ToString) -> Self {
        self.target = Some(target.to_string());
        self
    }

    /// The same, after so many calls went well.
    pub fn after(mut self, calls: u32) -> Self {
        self.after = calls;
        self
    }

    /// Whether it happens to this call, which then counts.
    fn strikes(&mut self, call: &Call) -> bool {
        if self.operation != call.operation || self.target.as_ref().is_some_and(|target| *target != call.target) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }
}

/// All that happens to one call.
#[derive(Debug, Default)]
pub(crate) struct Luck {
    pub(crate) delay: Duration,
    pub(crate) holds: Vec<Arc<Semaphore>>,
    pub(crate) before: Option<Error>,
    pub(crate) after: Option<Error>,
}

impl Luck {
    /// The luck of `call`; faults that have struck for the last time go.
    pub(crate) fn of(call: &Call, faults: &mut Vec<Fault>) -> Self {
        let mut luck = Luck::default();
        for fault in faults.iter_mut() {
            if !fault.strikes(call) {
                continue;
            }
            match &fault.effect {
                Effect::Fail(code, message) => luck.before = Some(Error::new(*code, message.clone())),
                Effect::FailAfter(code, message) => luck.after = Some(Error::new(*code, message.clone())),
                Effect::Delay(delay) => luck.delay += *delay,
                Effect::Hold(semaphore) => luck.holds.push(semaphore.clone()),
            }
        }
        faults.retain(|fault| fault.times != Some(0));
        luck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_when_and_where_it_is_told_to() {
        let call = |target: &str| Call { operation: Operation::DomainStart, target: target.into() };
        let fault = Fault::once(Operation::DomainStart, Effect::Fail(ErrorCode::SystemError, "full".into()));
        let mut faults = vec![fault.on("a").after(1)];
        let struck: Vec<bool> =
            ["a", "b", "a", "a"].map(|target| Luck::of(&call(target), &mut faults).before.is_some()).into();
        assert_eq!(struck, [false, false, true, false]);
        assert!(faults.is_empty());
    }
}
