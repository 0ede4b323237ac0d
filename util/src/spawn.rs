//! Processes that outlive us: started so that nothing of ours is needed any more once they run.

#[cfg(target_arch = "x86_64")]
mod clone3;

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;

use crate::cgroup::Entrances;
use crate::passwd::Credentials;
use crate::pidfd::{self, PidFd, Process};

/// A process to be: what it runs, as whom, in which groups, with which descriptors.
#[derive(Debug)]
pub struct Spawn {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Its whole environment, as `NAME=value`.
    pub env: Vec<OsString>,
    /// Its working directory.
    pub directory: PathBuf,
    /// As whom it runs, without capabilities and without a way to gain any; absent: as we do.
    pub credentials: Option<Credentials>,
    /// Entrances of the control groups that it is in ([`crate::cgroup::Cgroup::entrances`]).
    pub cgroups: Entrances,
    /// Its standard output and error output, opened to append. Standard input is `/dev/null`.
    pub output: File,
    /// Descriptors that it gets, as [`FIRST_FD`] and on, in this order. It gets no other.
    pub fds: Vec<OwnedFd>,
}

/// The number of the first descriptor that is handed over.
pub const FIRST_FD: RawFd = 3;

/// A new process failed to become what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Before there was a process.
    #[error("prepare a process: {0}")]
    Prepare(#[source] io::Error),
    /// In the new process, which has ended.
    #[error("{0} in the new process: {1}")]
    Become(&'static str, #[source] io::Error),
    /// The process ended at once.
    #[error("the new process ended before it could be identified")]
    Ended,
}

impl Spawn {
    /// Starts the process in a session of its own, as a child of the host's init (or of the nearest subreaper).
    ///
    /// Flow: 1. all that needs memory is made; 2. a child makes a session and has a child of its own, then ends, so that the
    /// grandchild belongs to init; 3. the grandchild joins its groups, where it was not made in them; 4. it goes on only if we are
    /// still there; 5. it drops its rights and runs the program.
    ///
    /// Child and grandchild use our memory while this thread waits (`CLONE_VM`, `CLONE_VFORK`), as `posix_spawn` does: a copy
    /// would cost each of our threads a page fault, with an interrupt to all processors, for every page that it writes next.
    ///
    /// # Guarantees
    /// A process that runs the program is in all its groups. If we are killed at any point before step 5, either no program runs,
    /// or it was in all its groups before we died. When this returns `Ok`, the program has been executed; when `Err`, there is no process.
    ///
    /// # Errors
    /// The step that failed and why.
    pub fn detached(self) -> Result<Process, SpawnError> {
        let alive = pidfd::own().map_err(SpawnError::Prepare)?;
        let (mut report, report_end) = pipe().map_err(SpawnError::Prepare)?;
        let mut plan = Plan::new(self, alive, report_end).map_err(SpawnError::Prepare)?;
        let child = plan.start().map_err(SpawnError::Prepare)?;
        drop(plan);
        wait_for(child);
        let mut message = Message::default();
        let mut pid = 0;
        while read_message(&mut report, &mut message) {
            match message.step {
                STEP_PID => pid = message.value,
                step => {
                    return Err(SpawnError::Become(
                        STEPS.get(step as usize).copied().unwrap_or("?"),
                        io::Error::from_raw_os_error(message.value),
                    ));
                }
            }
        }
        Process::of(pid).map_err(|_| SpawnError::Ended)
    }
}

/// What the new process says before it runs its program: which step, and the error number or pid.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Message {
    step: i32,
    value: i32,
}

const STEP_PID: i32 = -1;
const STEPS: &[&str] = &[
    "fork",
    "join the control groups",
    "set up the descriptors",
    "set the groups",
    "drop the bounding set",
    "set the user",
    "give up new privileges",
    "change the directory",
    "execute the program",
];

fn pipe() -> io::Result<(File, File)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((read.into(), write.into()))
}

fn wait_for(child: libc::pid_t) {
    loop {
        // SAFETY: no status is asked for.
        let done = unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
        if done != -1 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

fn read_message(pipe: &mut File, message: &mut Message) -> bool {
    let mut bytes = [0; 8];
    if pipe.read_exact(&mut bytes).is_err() {
        return false;
    }
    let [a, b, c, d, e, f, g, h] = bytes;
    *message = Message { step: i32::from_ne_bytes([a, b, c, d]), value: i32::from_ne_bytes([e, f, g, h]) };
    true
}

/// A [`Spawn`] in the form that system calls take.
struct Plan {
    program: CString,
    _texts: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    directory: CString,
    credentials: Option<Credentials>,
    cgroups: Entrances,
    /// The grandchild was made in its group of version 2.
    is_born_in_group: bool,
    null: File,
    output: File,
    fds: Vec<OwnedFd>,
    /// Numbers above all that will be handed over, for `fds` on their way.
    parking: Vec<RawFd>,
    /// Tells whether we are still there.
    alive: PidFd,
    /// Where the new processes say how it goes.
    report: File,
    /// What child and grandchild stand on.
    stacks: [Vec<u128>; 2],
}

/// Bytes of a new process's stack: it calls a few levels of small functions.
const STACK: usize = 64 * 1024;

impl Plan {
    fn new(spawn: Spawn, alive: PidFd, report: File) -> io::Result<Self> {
        let Spawn { program, args, env, directory, credentials, cgroups, output, fds } = spawn;
        let text =
            |text: OsString| CString::new(text.into_vec()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let program = text(program.into())?;
        let args: Vec<CString> = args.into_iter().map(text).collect::<io::Result<_>>()?;
        let env: Vec<CString> = env.into_iter().map(text).collect::<io::Result<_>>()?;
        let pointers = |list: &[CString]| list.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
        let argv = [vec![program.as_ptr()], pointers(&args), vec![ptr::null()]].concat();
        let envp = [pointers(&env), vec![ptr::null()]].concat();
        Ok(Plan {
            program,
            _texts: args.into_iter().chain(env).collect(),
            argv,
            envp,
            directory: text(directory.into())?,
            credentials,
            cgroups,
            is_born_in_group: false,
            null: File::open("/dev/null")?,
            output,
            parking: vec![-1; fds.len() + 2],
            fds,
            alive,
            report,
            stacks: std::array::from_fn(|_| Vec::with_capacity(STACK / size_of::<u128>())),
        })
    }

    /// Starts the child; when this returns, the grandchild runs its program, or there is none.
    fn start(&mut self) -> io::Result<libc::pid_t> {
        // SAFETY: a set of all signals is valid. No handler of ours may run in a process that shares our memory.
        let mask = unsafe {
            let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
            old
        };
        // SAFETY: `run_child` upholds what `vfork` asks for, and never returns.
        let child = unsafe { self.vfork(0, run_child) };
        // SAFETY: the mask from above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) };
        child
    }

    /// A new process that uses our memory, on the stack of this number; we go on when it has executed a program or ended.
    ///
    /// # Safety
    /// `run` makes only system calls that concern its process alone: nothing that allocates, locks, or (as glibc's `setuid`)
    /// speaks to all threads. It never returns.
    unsafe fn vfork(
        &mut self,
        stack: usize,
        run: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    ) -> io::Result<libc::pid_t> {
        let stack = &mut self.stacks[stack];
        // SAFETY: the stack grows down from the end of memory that is ours until this returns, after the new process is done with it.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(stack.capacity());
            libc::clone(run, top.cast(), libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, ptr::from_mut(self).cast())
        };
        if pid == -1 { Err(io::Error::last_os_error()) } else { Ok(pid) }
    }

    /// The grandchild, made in its group of version 2 where that can be; else it has to move there.
    ///
    /// # Safety
    /// Only in the child.
    unsafe fn make_grandchild(&mut self) -> io::Result<libc::pid_t> {
        #[cfg(target_arch = "x86_64")]
        if let Some(group) = self.cgroups.folder.as_ref().map(|folder| folder.as_raw_fd()) {
            self.is_born_in_group = true;
            let stack = &mut self.stacks[1];
            let (stack, size) = (stack.as_mut_ptr(), stack.capacity() * size_of::<u128>());
            // SAFETY: the stack is the grandchild's until this returns, and `run_grandchild` upholds what is asked for.
            let made = unsafe { clone3::vfork_into(group, stack, size, run_grandchild, ptr::from_mut(self).cast()) };
            if made.is_ok() {
                return made;
            }
            self.is_born_in_group = false;
        }
        // SAFETY: `run_grandchild` upholds what `vfork` asks for.
        unsafe { self.vfork(1, run_grandchild) }
    }

    fn say(&self, step: i32, value: i32) {
        say(self.report.as_raw_fd(), step, value);
    }

    /// The rest of the grandchild's life.
    ///
    /// # Safety
    /// Only in the grandchild.
    unsafe fn run_grandchild(&mut self) -> ! {
        let fail = |report: RawFd, step| -> ! {
            say(report, step, errno());
            // SAFETY: ends this process alone.
            unsafe { libc::_exit(127) }
        };
        let report = self.report.as_raw_fd();
        // SAFETY: system calls on descriptors of this process and on memory that waits for it. The calls that set ids are made
        // directly: the library's would change the threads of our parent, too.
        unsafe {
            for cgroup in self.cgroups.files(self.is_born_in_group) {
                if libc::write(cgroup.as_raw_fd(), c"0".as_ptr().cast(), 1) != 1 {
                    fail(report, 1);
                }
            }
            if self.alive.has_ended() {
                libc::_exit(126);
            }
            reset_signals();
            let Some(report) = self.hand_over(report) else { fail(report, 2) };
            libc::umask(0o077);
            if let Some(Credentials { uid, gid, groups }) = &self.credentials {
                if libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) != 0
                    || libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) != 0
                {
                    fail(report, 3);
                }
                // EINVAL: past the last capability that this kernel has.
                for capability in 0..64 {
                    if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno() != libc::EINVAL {
                        fail(report, 4);
                    }
                }
                // With the last root id go the permitted, effective and ambient sets.
                if libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) != 0 {
                    fail(report, 5);
                }
                if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                    fail(report, 6);
                }
            }
            if libc::chdir(self.directory.as_ptr()) != 0 {
                fail(report, 7);
            }
            libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
            fail(report, 8)
        }
    }

    /// Puts the descriptors in their places and closes all others but the report's, whose new number it gives.
    ///
    /// # Safety
    /// Only in the grandchild.
    unsafe fn hand_over(&mut self, report: RawFd) -> Option<RawFd> {
        let count = RawFd::try_from(self.fds.len()).ok()?;
        let end = FIRST_FD + count;
        // SAFETY: plain system calls. Everything moves out of the way first, so that no target number is in use.
        unsafe {
            for (parked, fd) in self.parking.iter_mut().zip(&self.fds) {
                *parked = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, end);
            }
            let output = libc::fcntl(self.output.as_raw_fd(), libc::F_DUPFD, end);
            let null = libc::fcntl(self.null.as_raw_fd(), libc::F_DUPFD, end);
            let parked_report = libc::fcntl(report, libc::F_DUPFD, end);
            if parked_report < 0 || libc::dup2(null, 0) < 0 || libc::dup2(output, 1) < 0 || libc::dup2(output, 2) < 0 {
                return None;
            }
            for (target, parked) in (FIRST_FD..end).zip(&self.parking) {
                if libc::dup2(*parked, target) < 0 {
                    return None;
                }
            }
            if libc::dup2(parked_report, end) < 0 || libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
                return None;
            }
            let (first, last) = (libc::c_uint::try_from(end + 1).ok()?, libc::c_uint::MAX);
            if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
                return None;
            }
        }
        Some(end)
    }
}

/// The life of the child.
extern "C" fn run_child(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the plan that `vfork` was called on; who owns it waits for us.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: concerns this process alone.
    unsafe { libc::setsid() };
    // SAFETY: this is the child.
    match unsafe { plan.make_grandchild() } {
        Ok(pid) => plan.say(STEP_PID, pid),
        Err(_) => plan.say(0, errno()),
    }
    // SAFETY: ends this process alone.
    unsafe { libc::_exit(0) }
}

extern "C" fn run_grandchild(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: as in `run_child`.
    unsafe { (*plan.cast::<Plan>()).run_grandchild() }
}

fn say(report: RawFd, step: i32, value: i32) {
    let message = Message { step, value };
    // SAFETY: the message is plain memory of its own size; it is shorter than what a pipe takes at once.
    unsafe { libc::write(report, (&raw const message).cast(), size_of::<Message>()) };
}

/// Handlers and masks of ours mean nothing to the program; the ignored SIGPIPE would stay ignored.
///
/// # Safety
/// Only in the grandchild.
unsafe fn reset_signals() {
    // SAFETY: an emptied set and the default action are valid for every signal; those that can't be changed are refused.
    unsafe {
        for signal in 1..65 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use crate::cgroup::Hierarchies;

    use super::*;

    fn shell(script: &str, directory: &Path) -> Spawn {
        let log = fs::OpenOptions::new().append(true).create(true).open(directory.join("log")).unwrap();
        Spawn {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec!["PATH=/usr/bin:/bin".into()],
            directory: directory.into(),
            credentials: None,
            cgroups: Entrances::default(),
            output: log,
            fds: Vec::new(),
        }
    }

    fn end(process: &Process) {
        if let Some(fd) = process.open().unwrap() {
            assert!(fd.wait(Duration::from_secs(30)));
        }
    }

    #[test]
    fn runs_in_its_own_session_with_what_it_was_given_only() {
        let directory = tempfile::tempdir().unwrap();
        let mut spawn = shell(
            "echo out; echo err >&2; cat <&4 ; ls /proc/self/fd; cut -d' ' -f4,6 /proc/self/stat; read x; echo $A",
            directory.path(),
        );
        spawn.env.push("A=b".into());
        for content in ["three\n", "four\n"] {
            let path = directory.path().join(content.trim());
            fs::write(&path, content).unwrap();
            spawn.fds.push(File::open(path).unwrap().into());
        }
        let process = spawn.detached().unwrap();
        end(&process);
        let log = fs::read_to_string(directory.path().join("log")).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(&lines[..3], ["out", "err", "four"], "{log}");
        // ls adds the folder that it reads.
        assert_eq!(&lines[3..9], ["0", "1", "2", "3", "4", "5"], "{log}");
        let (_, session) = lines[9].split_once(' ').unwrap();
        // Not asked with getsid: a session begun outside of this process namespace has the number 0.
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let own = own.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
        assert_ne!(session, own);
        assert_eq!(lines[10], "b");
    }

    #[test]
    fn runs_in_its_groups_in_every_hierarchy() {
        let hierarchies = Hierarchies::discover().unwrap();
        let name = format!("ostler-test-spawn-{}", std::process::id());
        let group = hierarchies.group(&name);
        group.create().unwrap();
        let directory = tempfile::tempdir().unwrap();
        // It is made in the group of version 2, and it moves there where that can't be.
        let spawn = Spawn { cgroups: group.entrances().unwrap(), ..shell("cat /proc/self/cgroup", directory.path()) };
        let entrances = Entrances { folder: None, ..group.entrances().unwrap() };
        let moved = Spawn { cgroups: entrances, ..shell("cat /proc/self/cgroup", directory.path()) };
        for spawn in [spawn, moved] {
            end(&spawn.detached().unwrap());
        }
        group.remove().unwrap();
        let groups = fs::read_to_string(directory.path().join("log")).unwrap();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert_eq!(groups.lines().count(), 2 * own.lines().count());
        assert!(groups.lines().all(|line| line.ends_with(&format!("/{name}"))), "{groups}");
    }

    #[test]
    fn says_which_step_failed() {
        let directory = tempfile::tempdir().unwrap();
        let spawn = Spawn { program: "/there/is/none".into(), ..shell("", directory.path()) };
        assert!(
            matches!(spawn.detached(), Err(SpawnError::Become("execute the program", error)) if error.kind() == io::ErrorKind::NotFound)
        );
        let spawn = Spawn { directory: "/there/is/none".into(), ..shell("", directory.path()) };
        assert!(matches!(spawn.detached(), Err(SpawnError::Become("change the directory", _))));
    }

    #[test]
    fn drops_every_right() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let spawn = Spawn {
            credentials: Some(Credentials { uid: 12345, gid: 12346, groups: vec![7] }),
            ..shell("cat /proc/self/status", Path::new("/"))
        };
        let log = fs::OpenOptions::new().append(true).create(true).open(directory.path().join("log")).unwrap();
        let process = Spawn { output: log, ..spawn }.detached().unwrap();
        end(&process);
        let status = fs::read_to_string(directory.path().join("log")).unwrap();
        let field = |name: &str| {
            status.lines().find_map(|l| l.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid:"), "12345 12345 12345 12345");
        assert_eq!(field("Gid:"), "12346 12346 12346 12346");
        assert_eq!(field("Groups:"), "7");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
    }
}
