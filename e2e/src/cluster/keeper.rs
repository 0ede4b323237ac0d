//! The control plane's components as processes of their own, which a control group each finds again.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use ostler_util::cgroup::Hierarchies;
use ostler_util::spawn::Spawn;

use super::control_plane::{Component, Keeper};
use super::groups;
use super::node::PATH;
use super::place::Place;

/// Starts components in a cluster's own network; they outlive us.
#[derive(Clone, Debug)]
pub struct Detached {
    /// The cluster.
    pub place: Place,
    /// Kubernetes' programs.
    pub bin: PathBuf,
}

impl Detached {
    fn group(&self, name: &str) -> String {
        format!("{}/control/{name}", self.place.cgroup())
    }

    /// Ends a component at once. One that does not run is fine.
    ///
    /// # Errors
    /// The process does not end.
    pub fn kill(&self, name: &str) -> Result<()> {
        Ok(Hierarchies::discover()?.group(self.group(name)).kill(Duration::from_secs(60))?)
    }
}

impl Keeper for Detached {
    fn start(&mut self, component: &Component) -> Result<()> {
        let log = self.place.control_plane().log(component.name);
        let namespace = format!("--net=/run/netns/{}", self.place.namespace());
        let mut args = vec![namespace.into(), self.bin.join(component.name).into()];
        args.extend(component.args.iter().map(Into::into));
        let spawn = Spawn {
            program: "/usr/bin/nsenter".into(),
            args,
            env: vec![PATH.into()],
            directory: "/".into(),
            credentials: None,
            cgroups: groups::create(&self.group(component.name))?,
            output: OpenOptions::new().append(true).create(true).open(log)?,
            fds: Vec::new(),
        };
        spawn.detached().with_context(|| format!("start {}", component.name))?;
        Ok(())
    }

    fn is_running(&mut self, name: &str) -> Result<bool> {
        Ok(Hierarchies::discover()?.group(self.group(name)).is_alive()?)
    }
}
