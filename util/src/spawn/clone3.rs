//! The system call that makes a process inside a control group. The C library has no function for it.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

/// Linux' `CLONE_INTO_CGROUP` (clone(2), since 5.7); the libc crate's doesn't fit its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A new process that uses our memory, on a stack of its own, inside the group of version 2 whose folder is `group`; we go on when
/// it has executed a program or ended.
///
/// A process that is made in a group has not to move there: for a move the kernel stops all forks of the host, which waits for a
/// grace period of its RCU first, 10 to 15 ms on a host at rest.
///
/// # Safety
/// `stack` is memory of `size` bytes, a multiple of 16 and aligned so, that nothing else uses until this returns. `run` makes only
/// system calls that concern its process alone, as after `vfork`, and never returns.
///
/// # Errors
/// The operating system's: older kernels don't know it, and sandboxes refuse it.
pub(super) unsafe fn vfork_into(
    group: RawFd,
    stack: *mut u128,
    size: usize,
    run: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<libc::pid_t> {
    // SAFETY: all of it are numbers, and zero says nothing.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = (libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_INTO_CGROUP;
    how.exit_signal = libc::SIGCHLD as u64;
    how.stack = stack as u64;
    how.stack_size = size as u64;
    how.cgroup = group as u64;
    let mut result = libc::SYS_clone3;
    // SAFETY: the new process begins behind the system call with our registers, but at the end of its own stack, which is aligned
    // as a call wants it; what it does to its registers is not ours. It touches our stack nowhere, and does not come back.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {argument}",
            "call {run}",
            "ud2",
            "2:",
            argument = in(reg) argument,
            run = in(reg) run,
            inlateout("rax") result,
            in("rdi") &raw const how,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    // Nothing here allocates: we may be a process that shares its parent's memory ourselves.
    match libc::pid_t::try_from(result).unwrap_or(-libc::EINVAL) {
        error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
        pid => Ok(pid),
    }
}
