//! The memory of a program that works in bursts and rests for hours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many heaps malloc keeps, whatever the number of threads: each holds on to what its busiest moment needed.
const HEAPS: libc::c_int = 4;

/// Where many work in one process, each asks when it rests: so much time apart, once serves all.
const APART: Duration = Duration::from_secs(2);

/// Keeps the heap in few pieces. Called once, before there are threads.
pub fn keep_in_few_heaps() {
    // SAFETY: only sets a number; it is refused if it makes no sense.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

/// Gives back what a burst needed: the pages that malloc keeps free, and the program's own code, of which rest needs little.
///
/// The code stays in the page cache, where the system may now take it when it needs memory; what is run again is mapped again,
/// without reading the disk as long as it is there. Takes about a millisecond; nothing is done twice within two seconds.
pub fn give_back() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let now = Instant::now();
    // A time is whole, whoever panicked.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|last| now.duration_since(last) < APART) {
        return;
    }
    *last = Some(now);
    drop(last);
    // SAFETY: malloc's own, with its locks.
    unsafe { libc::malloc_trim(0) };
    for code in own_code().unwrap_or_default() {
        // SAFETY: the pages are the file's, unchanged (nobody may write them), so that each is found again at its next use.
        unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(code.start), code.len(), libc::MADV_DONTNEED) };
    }
}

/// Where the program's executable pages are mapped.
fn own_code() -> std::io::Result<Vec<std::ops::Range<usize>>> {
    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    // proc(5): address range, rights, offset, device, inode, path.
    let code = maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let is_ours = fields.next()? == "r-xp" && fields.nth(3).is_some_and(|path| program.as_os_str() == path);
        let address = |text| usize::from_str_radix(text, 16).ok();
        is_ours.then_some(())?;
        Some(address(start)?..address(end)?)
    });
    Ok(code.collect())
}

#[cfg(test)]
mod tests {
    fn resident_kib(part: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(part)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_a_burst_needed_goes_back() {
        let mut burst: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1000]).collect();
        let last = burst.pop();
        let (heap, code) = (resident_kib("RssAnon:"), resident_kib("RssFile:"));
        drop(burst);
        super::give_back();
        assert!(heap - resident_kib("RssAnon:") > 50_000);
        assert!(resident_kib("RssFile:") < code);
        assert!(!super::own_code().unwrap().is_empty());
        drop(last);
    }
}
