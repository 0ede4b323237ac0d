//! Verbs: `ostler start`, `ostler restart` and so on, and `ostler host-shutdown`.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use ostler::agent::{Request, Response, ask};
use ostler::source::store::Store;
use ostler_crds::{API_VERSION, Kind, ObjectRef, Verb};
use ostler_util::file;
use serde_json::{Value, json};
use uuid::Uuid;

use super::get::Watch;
use super::{Namespace, Outcome, Place, exit, out};

#[derive(Debug, Args)]
pub(super) struct VerbArgs {
    /// Domain
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    /// Return before it is done
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_name = "TIME")]
    timeout: ostler_crds::Duration,
}

#[derive(Debug, Args)]
pub(super) struct HostShutdownArgs {
    /// How long all guests together have
    #[arg(long, default_value = "3m", value_name = "TIME")]
    timeout: ostler_crds::Duration,
}

/// Hands a DomainOperation to the agent and waits for its end.
pub(super) fn run(verb: Verb, args: &VerbArgs, place: &Place) -> Outcome {
    let store = Store::new(&place.state_dir);
    let domain = ObjectRef::new(Kind::Domain, &args.namespace.namespace, &args.name);
    if store.get(&domain).is_err() {
        out::error(&format!("there is no {domain}"));
        return Ok(exit::NOT_FOUND);
    }
    let word = format!("{verb:?}").to_lowercase();
    let id = Uuid::new_v4().simple().to_string();
    let prefix: String = args.name.chars().take(40).collect();
    let name = format!("{prefix}-{word}-{}", &id[..8]);
    let operation = json!({
        "apiVersion": API_VERSION, "kind": "DomainOperation", "metadata": { "name": name, "namespace": args.namespace.namespace },
        "spec": { "domain": args.name, "verb": format!("{verb:?}") },
    });
    let watch = Watch::open(&store)?;
    let path = store.operations_dir().join(format!("{}_{name}.json", args.namespace.namespace));
    file::write_atomic(&path, out::json(&operation)?.as_bytes(), 0o600).context("hand the operation to the agent")?;
    if args.no_wait {
        return Ok(0);
    }
    let key = ObjectRef::new(Kind::DomainOperation, &args.namespace.namespace, name);
    let deadline = Instant::now() + args.timeout.0.max(Duration::from_secs(1));
    loop {
        let object = store.get(&key).unwrap_or(Value::Null);
        let message = object.pointer("/status/conditions").and_then(Value::as_array).and_then(|conditions| {
            conditions.iter().find(|condition| condition["type"] == "Complete")?["message"].as_str().map(str::to_owned)
        });
        match object.pointer("/status/state").and_then(Value::as_str) {
            Some("Succeeded" | "AlreadyDone") => {
                out::note(&format!("{word} of {domain}: done"));
                return Ok(0);
            }
            Some("Failed" | "Expired") => bail!("{word} of {domain}: {}", message.unwrap_or_default()),
            _ => {}
        }
        if !watch.wait_until(Some(deadline))? {
            bail!("{word} of {domain} is not done after {}: is the agent running?", args.timeout);
        }
    }
}

pub(super) fn host_shutdown(args: &HostShutdownArgs, place: &Place) -> Outcome {
    let request = Request::HostShutdown { timeout_seconds: args.timeout.0.as_secs() };
    match ask(&place.run_dir, &request).context("ask the agent of this host; is it running?")? {
        Response::Value(outcome) => {
            let list = |key: &str| -> Vec<String> {
                outcome[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item.as_str().map(str::to_owned))
                    .collect()
            };
            let (ended, left) = (list("ended"), list("left"));
            out::print(&format!("{} guests were stopped\n", ended.len()))?;
            left.iter().for_each(|guest| out::error(guest));
            Ok(if left.is_empty() { 0 } else { exit::FAILED })
        }
        Response::Error(message) => bail!("{message}"),
        Response::Pty(_) | Response::Socket(_) => bail!("the agent gave another answer"),
    }
}
