//! Which objects are to be looked at, and when.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use ostler_crds::ObjectRef;
use tokio::time::Instant;

/// Objects to look at: each at most once at a time. One that is pushed while it is looked at is looked at again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<ObjectRef>,
    waiting: HashSet<ObjectRef>,
    running: HashSet<ObjectRef>,
    again: HashSet<ObjectRef>,
    timers: BTreeSet<(Instant, ObjectRef)>,
    due: HashMap<ObjectRef, Instant>,
    failures: HashMap<ObjectRef, u32>,
}

impl Queue {
    /// To be looked at as soon as possible.
    pub(super) fn push(&mut self, key: ObjectRef) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// To be looked at within `wait`: what is told many times until then is looked at once.
    pub(super) fn push_within(&mut self, key: ObjectRef, wait: Duration) {
        if !self.waiting.contains(&key) {
            self.look_by(&key, Instant::now() + wait);
        }
    }

    /// The next to look at. Whoever takes it says how it went.
    pub(super) fn pop(&mut self) -> Option<ObjectRef> {
        let now = Instant::now();
        while let Some((at, _)) = self.timers.first() {
            if *at > now {
                break;
            }
            let (_, key) = self.timers.pop_first().expect("the first was just seen");
            self.due.remove(&key);
            self.push(key);
        }
        let key = self.ready.pop_front()?;
        self.waiting.remove(&key);
        self.cancel_timer(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// It went well; `wait`: look again then, though nothing happens.
    pub(super) fn succeeded(&mut self, key: &ObjectRef, wait: Option<Duration>) {
        self.failures.remove(key);
        self.finish(key, wait);
    }

    /// It failed: look again after a wait that doubles. Gives the wait.
    pub(super) fn failed(&mut self, key: &ObjectRef, first: Duration, max: Duration) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = first.saturating_mul(1 << (*failures).min(16)).min(max);
        *failures = failures.saturating_add(1);
        self.finish(key, Some(wait));
        wait
    }

    /// It is gone.
    pub(super) fn forget(&mut self, key: &ObjectRef) {
        self.failures.remove(key);
        self.cancel_timer(key);
    }

    pub(super) fn has_timers(&self) -> bool {
        !self.timers.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    /// Waits until the first timer is due.
    pub(super) async fn due(&self) {
        match self.timers.first() {
            Some((at, _)) => tokio::time::sleep_until(*at).await,
            None => std::future::pending().await,
        }
    }

    fn finish(&mut self, key: &ObjectRef, wait: Option<Duration>) {
        self.running.remove(key);
        if let Some(wait) = wait {
            self.look_by(key, Instant::now() + wait);
        }
        if self.again.remove(key) {
            self.push(key.clone());
        }
    }

    /// Sets the timer, unless an earlier one is set.
    fn look_by(&mut self, key: &ObjectRef, at: Instant) {
        if self.due.get(key).is_none_or(|due| at < *due) {
            self.cancel_timer(key);
            self.timers.insert((at, key.clone()));
            self.due.insert(key.clone(), at);
        }
    }

    fn cancel_timer(&mut self, key: &ObjectRef) {
        if let Some(at) = self.due.remove(key) {
            self.timers.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ostler_crds::{Kind, ObjectRef};

    use super::Queue;

    fn key(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::Domain, "default", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_looked_at_once_at_a_time() {
        let mut queue = Queue::default();
        queue.push(key("a"));
        queue.push(key("a"));
        assert_eq!(queue.pop(), Some(key("a")));
        assert_eq!(queue.pop(), None);
        queue.push(key("a"));
        assert_eq!(queue.pop(), None, "it is being looked at");
        queue.succeeded(&key("a"), None);
        assert_eq!(queue.pop(), Some(key("a")), "what happened meanwhile is not lost");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_and_success_forgets_them() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(3));
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..3 {
            queue.push(key("a"));
            queue.pop();
            waits.push(queue.failed(&key("a"), first, max).as_secs());
        }
        assert_eq!(waits, [1, 2, 3]);
        queue.due().await;
        assert_eq!(queue.pop(), Some(key("a")));
        queue.succeeded(&key("a"), None);
        assert!(!queue.has_timers());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_many_times_within_a_wait_is_looked_at_once_and_not_later() {
        let (soon, late) = (Duration::from_millis(100), Duration::from_secs(60));
        let mut queue = Queue::default();
        let start = tokio::time::Instant::now();
        queue.push(key("a"));
        queue.pop();
        queue.push_within(key("a"), soon);
        queue.succeeded(&key("a"), Some(late));
        queue.push_within(key("a"), soon);
        assert_eq!(queue.pop(), None);
        queue.due().await;
        assert_eq!(start.elapsed(), soon, "an earlier look is not put off");
        assert_eq!(queue.pop(), Some(key("a")));
        queue.succeeded(&key("a"), None);
        assert!(!queue.has_timers());
    }
}
