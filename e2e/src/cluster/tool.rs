//! kubectl and helm, as a user at a shell has them.

use std::path::Path;
use std::process::Command;

/// Runs a program with this kubeconfig; gives its exit code and what it said. It leaves no cache in the home folder.
pub fn run(program: &Path, kubeconfig: &Path, args: &[&str]) -> (i32, String) {
    let cache = kubeconfig.with_file_name("cache");
    let output = Command::new(program)
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECACHEDIR", &cache)
        .env("HELM_CACHE_HOME", &cache)
        .env("HELM_CONFIG_HOME", &cache)
        .env("HELM_DATA_HOME", &cache)
        .args(args)
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            (output.status.code().unwrap_or(-1), text)
        }
        Err(error) => (-1, format!("{}: {error}", program.display())),
    }
}
