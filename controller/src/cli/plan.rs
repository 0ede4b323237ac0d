//! `ostler plan`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use ostler::agent::{Request, Response, ask};
use serde_json::Value;

use super::{Format, Outcome, Place, exit, manifests, out};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Manifest, or directory of manifests; "-": standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The plan as data
    #[arg(short, long)]
    output: Option<Format>,
    /// Exit with 3 if anything would change
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(args: &PlanArgs, place: &Place) -> Outcome {
    let mut plans = Vec::new();
    for (file, text) in manifests::read(&args.file)? {
        let manifests = match manifests::check(&text) {
            Ok(read) => read.manifests,
            Err(problems) => {
                let shown: Vec<String> = problems.iter().map(|problem| problem.render(&file, &text)).collect();
                bail!("{file} is not valid\n{}", shown.join("\n"));
            }
        };
        for manifest in manifests {
            let request = Request::Plan(manifest.object.to_value());
            match ask(&place.run_dir, &request).context("ask the agent of this host; is it running?")? {
                Response::Value(plan) => plans.push(plan),
                Response::Error(message) => bail!("{}: {message}", manifest.object.object_ref()),
                Response::Pty(_) | Response::Socket(_) => bail!("the agent gave another answer than a plan"),
            }
        }
    }
    let changes = plans
        .iter()
        .any(|plan| plan["exists"] == false || !is_empty(&plan["changes"]) || !is_empty(&plan["pendingChanges"]));
    match args.output {
        Some(Format::Json) => out::print(&out::json(&plans)?)?,
        Some(Format::Yaml) => out::print(&out::yaml(&plans)?)?,
        None => out::print(&plans.iter().map(show).collect::<String>())?,
    }
    Ok(if changes && args.exit_code { exit::DIFFERENT } else { 0 })
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_none_or(Vec::is_empty)
}

fn show(plan: &Value) -> String {
    let object = plan["object"].as_str().unwrap_or_default();
    if plan["exists"] == false {
        return format!("{object}: is made\n");
    }
    let mut text = String::new();
    for change in plan["changes"].as_array().into_iter().flatten() {
        text += &format!(
            "  spec.{}: {} -> {}\n",
            change["path"].as_str().unwrap_or_default(),
            word(&change["current"]),
            word(&change["desired"])
        );
    }
    for change in plan["pendingChanges"].as_array().into_iter().flatten() {
        let when = if change["apply"] == "Live" { "while it runs" } else { "at its restart" };
        text += &format!(
            "  {} ({when}): {} -> {}\n",
            change["path"].as_str().unwrap_or_default(),
            word(&change["current"]),
            word(&change["desired"])
        );
    }
    if text.is_empty() { format!("{object}: nothing changes\n") } else { format!("{object}:\n{text}") }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
