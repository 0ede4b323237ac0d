//! Threads for disks, and the main loop's own.

use ostler_conf::domain::DiskIothreads;
use ostler_driver::Result;
use serde_json::Value;

use super::{Args, Props, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let domain = setup.domain;
    let named = domain.iothreadids.iter().flat_map(|ids| &ids.iothreads);
    for thread in named.clone() {
        let poll = thread.poll.as_ref();
        args.object(
            Props::object("iothread", format!("iothread{}", thread.id))
                .maybe("thread-pool-min", thread.thread_pool_min)
                .maybe("thread-pool-max", thread.thread_pool_max)
                .maybe("poll-max-ns", poll.and_then(|poll| poll.max))
                .maybe("poll-grow", poll.and_then(|poll| poll.grow))
                .maybe("poll-shrink", poll.and_then(|poll| poll.shrink)),
        );
    }
    // Those that have no number take the first free ones.
    let missing = domain.iothreads.unwrap_or(0).saturating_sub(u32::try_from(named.clone().count()).unwrap_or(0));
    let is_free = |id: &u32| !named.clone().any(|thread| thread.id == *id);
    for id in (1..).filter(is_free).take(missing as usize) {
        args.object(Props::object("iothread", format!("iothread{id}")));
    }
    if let Some(main) = &domain.defaultiothread {
        args.object(
            Props::object("main-loop", "main-loop")
                .maybe("thread-pool-min", main.thread_pool_min)
                .maybe("thread-pool-max", main.thread_pool_max),
        );
    }
    Ok(())
}

/// Which threads serve which queues of a device.
pub(crate) fn mapping(threads: &DiskIothreads) -> Value {
    let thread = |thread: &ostler_conf::domain::DiskIothread| {
        let queues: Vec<u32> = thread.queues.iter().map(|queue| queue.id).collect();
        Props::default()
            .put("iothread", format!("iothread{}", thread.id))
            .maybe("vqs", (!queues.is_empty()).then_some(queues))
            .into_value()
    };
    threads.iothreads.iter().map(thread).collect()
}
