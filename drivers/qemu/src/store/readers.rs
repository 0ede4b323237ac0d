//! Reading many small files at once.

use std::panic::resume_unwind;
use std::thread;

/// More would wait for each other's disk, and each keeps memory that it needed.
const MOST: usize = 4;

/// A thread is not worth its start for fewer.
const FEWEST: usize = 16;

/// What `read` gives for each of `all`, in their order, by as many threads as there are processors.
pub(super) fn each<T: Sync, R: Send>(all: &[T], read: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let share = all.len().div_ceil(readers).max(FEWEST);
    let (own, others) = all.split_at(share.min(all.len()));
    let read = &read;
    thread::scope(|scope| {
        let others: Vec<_> =
            others.chunks(share).map(|share| scope.spawn(move || share.iter().map(read).collect::<Vec<R>>())).collect();
        let mut done: Vec<R> = own.iter().map(read).collect();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_read_once_and_in_order() {
        for count in [0, 1, FEWEST, FEWEST + 1, 1000] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(each(&all, |number| number * 2), all.iter().map(|number| number * 2).collect::<Vec<_>>());
        }
    }
}
