//! `bin/qemu-system-x86_64` of the runtime: starts the real one, which Debian builds to look for its files below /usr,
//! with those beside it. It is static, since the host may have nothing.

use std::os::unix::process::CommandExt;

fn main() {
    let own = std::env::current_exe().expect("/proc tells who we are");
    let root = own.parent().and_then(|bin| bin.parent()).expect("a program is in bin");
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let error = std::process::Command::new(root.join("libexec/qemu-system-x86_64"))
        .arg0(name)
        .env("QEMU_MODULE_DIR", root.join("lib/x86_64-linux-gnu/qemu"))
        .arg("-L")
        .arg(root.join("share/qemu"))
        .args(args)
        .exec();
    eprintln!("{}: {error}", root.join("libexec/qemu-system-x86_64").display());
    std::process::exit(127);
}
