//! `ostler get`.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ostler::agent;
use ostler::source::store::Store;
use ostler_crds::Kind;
use serde_json::{Value, json};

use super::{Namespace, Outcome, Place, exit, out};

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Kind: dom, vnet, pool, vol, host, domop, or all
    #[arg(default_value = "all")]
    kind: String,
    /// Name of one object
    name: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    /// Every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How they are shown
    #[arg(short, long, default_value = "table")]
    output: Output,
    /// Go on and show each change
    #[arg(short, long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table
    Table,
    /// A table with messages
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Kind and name only
    Name,
}

pub(super) fn run(args: &GetArgs, place: &Place) -> Outcome {
    let kinds = kinds(&args.kind)?;
    let store = Store::new(&place.state_dir);
    let mut shown = String::new();
    let watch = if args.watch { Some(Watch::open(&store)?) } else { None };
    loop {
        let mut objects = select(args, &kinds, &store)?;
        lay_over(&mut objects, &unwritten(place));
        if objects.is_empty() && args.name.is_some() && watch.is_none() {
            out::error(&format!("no {} '{}'", args.kind, args.name.as_deref().unwrap_or_default()));
            return Ok(exit::NOT_FOUND);
        }
        let text = show(args, &kinds, &objects)?;
        if text != shown {
            let redraw = watch.is_some() && std::io::stdout().is_terminal();
            out::print(&if redraw { format!("\x1b[2J\x1b[H{text}") } else { text.clone() })?;
            shown = text;
        }
        match &watch {
            Some(watch) => watch.wait()?,
            None => return Ok(0),
        }
    }
}

/// Statuses that the agent could not write: where one is at work it is asked, since only it knows them.
fn unwritten(place: &Place) -> Vec<Value> {
    match agent::ask(&place.run_dir, &agent::Request::Unwritten) {
        Ok(agent::Response::Value(Value::Array(items))) => items,
        // Without an agent, what was written last is all there is.
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn lay_over(objects: &mut [Value], unwritten: &[Value]) {
    for item in unwritten {
        let is_it = |object: &&mut Value| {
            field(object, "/kind") == field(item, "/kind")
                && field(object, "/metadata/name") == field(item, "/name")
                && object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
                    == item["namespace"].as_str().unwrap_or_default()
        };
        if let Some(object) = objects.iter_mut().find(is_it) {
            object["status"] = item["status"].clone();
        }
    }
}

/// The kinds that a word means: names, plurals and short names as kubectl has them.
pub(super) fn kinds(word: &str) -> anyhow::Result<Vec<Kind>> {
    const SHORT: &[(&str, Kind)] = &[
        ("dom", Kind::Domain),
        ("vnet", Kind::Network),
        ("pool", Kind::StoragePool),
        ("vol", Kind::StorageVolume),
        ("domop", Kind::DomainOperation),
    ];
    if word == "all" {
        return Ok(Kind::ALL.to_vec());
    }
    let lower = word.to_lowercase();
    let named = Kind::ALL.iter().copied().find(|kind| lower == kind.name().to_lowercase() || lower == kind.plural());
    match named.or_else(|| SHORT.iter().find(|(short, _)| *short == lower).map(|(_, kind)| *kind)) {
        Some(kind) => Ok(vec![kind]),
        None => bail!("'{word}' is no kind: dom, vnet, pool, vol, host, domop or all is expected"),
    }
}

fn select(args: &GetArgs, kinds: &[Kind], store: &Store) -> anyhow::Result<Vec<Value>> {
    let (objects, damaged) = store.all().context("read the objects of this host; is an agent's --state-dir given?")?;
    damaged.iter().for_each(|message| out::note(message));
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_wanted = |object: &Value| {
        let Some(kind) = Kind::from_name(&text(object, "/kind")) else { return false };
        let in_namespace = args.all_namespaces
            || !kind.is_namespaced()
            || text(object, "/metadata/namespace") == args.namespace.namespace;
        kinds.contains(&kind)
            && in_namespace
            && args.name.as_ref().is_none_or(|name| *name == text(object, "/metadata/name"))
    };
    Ok(objects.into_iter().filter(is_wanted).collect())
}

fn show(args: &GetArgs, kinds: &[Kind], objects: &[Value]) -> anyhow::Result<String> {
    match args.output {
        Output::Json | Output::Yaml => {
            let value = match (objects, &args.name) {
                ([one], Some(_)) => one.clone(),
                _ => json!({ "apiVersion": "v1", "kind": "List", "items": objects }),
            };
            if args.output == Output::Json { out::json(&value) } else { out::yaml(&value) }
        }
        Output::Name => Ok(objects
            .iter()
            .map(|object| format!("{}/{}\n", field(object, "/kind").to_lowercase(), field(object, "/metadata/name")))
            .collect()),
        Output::Table | Output::Wide => Ok(tables(args, kinds, objects)),
    }
}

/// A column: its head, and where its value stands; `Ready` and `Reason` are the Ready condition's.
type Column = (&'static str, &'static str);

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Host => {
            &[("CPUS", "/status/cpus"), ("MEMORY", "/status/memory"), ("ACCELERATORS", "/status/accelerators")]
        }
        Kind::Network | Kind::StoragePool => &[("HOSTS", "/status/hosts/ready")],
        Kind::StorageVolume => &[("POOL", "/spec/pool"), ("CAPACITY", "/status/capacity"), ("HOST", "/status/host")],
        Kind::Domain => &[("HOST", "/status/host"), ("PHASE", "/status/phase"), ("ADDRESS", "/status/addresses/0")],
        Kind::DomainOperation => &[("DOMAIN", "/spec/domain"), ("VERB", "/spec/verb"), ("STATE", "/status/state")],
    }
}

fn tables(args: &GetArgs, kinds: &[Kind], objects: &[Value]) -> String {
    let mut text = String::new();
    for kind in kinds {
        let rows: Vec<&Value> = objects.iter().filter(|object| field(object, "/kind") == kind.name()).collect();
        if rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text += &table(args, *kind, &rows, kinds.len() > 1);
    }
    if text.is_empty() { "nothing found\n".to_owned() } else { text }
}

fn table(args: &GetArgs, kind: Kind, rows: &[&Value], with_kind: bool) -> String {
    let mut head = vec!["NAME".to_owned()];
    if args.all_namespaces && kind.is_namespaced() {
        head.insert(0, "NAMESPACE".to_owned());
    }
    head.extend(columns(kind).iter().map(|(name, _)| (*name).to_owned()));
    head.extend(["READY".to_owned(), "REASON".to_owned()]);
    if args.output == Output::Wide {
        head.push("MESSAGE".to_owned());
    }
    let mut lines = vec![head];
    for row in rows {
        let name = field(row, "/metadata/name");
        let mut line = vec![if with_kind { format!("{}/{name}", kind.name().to_lowercase()) } else { name }];
        if args.all_namespaces && kind.is_namespaced() {
            line.insert(0, field(row, "/metadata/namespace"));
        }
        line.extend(columns(kind).iter().map(|(_, pointer)| field(row, pointer)));
        let ready = ready(row);
        line.extend([field(ready, "/status"), field(ready, "/reason")]);
        if args.output == Output::Wide {
            line.push(field(ready, "/message"));
        }
        lines.push(line);
    }
    align(&lines, out::colours(&std::io::stdout()))
}

fn ready(object: &Value) -> &Value {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == "Ready"))
        .unwrap_or(&Value::Null)
}

fn field(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Columns as wide as their widest value.
fn align(lines: &[Vec<String>], colours: bool) -> String {
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let mut cells = Vec::new();
        for (column, cell) in line.iter().enumerate() {
            let padded =
                if column + 1 == line.len() { cell.clone() } else { format!("{cell:<width$}", width = widths[column]) };
            let style = if colours { style_of(number, cell) } else { Style::new() };
            cells.push(format!("{style}{padded}{style:#}"));
        }
        text += cells.join("   ").trim_end();
        text.push('\n');
    }
    text
}

fn style_of(line: usize, cell: &str) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match (line, cell) {
        (0, _) => Style::new().bold(),
        (_, "True" | "Running" | "Succeeded") => colour(AnsiColor::Green),
        (_, "False" | "Failed" | "Crashed" | "Expired") => colour(AnsiColor::Red),
        (_, "Unknown" | "Pending" | "Paused" | "ShuttingDown" | "Deleting") => colour(AnsiColor::Yellow),
        _ => Style::new(),
    }
}

/// Waits for changes of the store.
pub(super) struct Watch {
    changes: std::sync::mpsc::Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    pub(super) fn open(store: &Store) -> anyhow::Result<Self> {
        use notify::Watcher;
        let (sender, changes) = std::sync::mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own looking is an access as well.
            if event.is_ok_and(|event| matches!(event.kind, notify::EventKind::Access(_))) {
                return;
            }
            // The reader has gone, and this process with it.
            let _ = sender.send(());
        })?;
        let directory = store.objects_dir();
        watcher
            .watch(&directory, notify::RecursiveMode::Recursive)
            .with_context(|| format!("watch {}", directory.display()))?;
        Ok(Watch { changes, _watcher: watcher })
    }

    pub(super) fn wait(&self) -> anyhow::Result<()> {
        self.wait_until(None).map(|_| ())
    }

    /// `false`: nothing happened until then.
    pub(super) fn wait_until(&self, deadline: Option<std::time::Instant>) -> anyhow::Result<bool> {
        use std::sync::mpsc::RecvTimeoutError;
        let result = match deadline {
            None => self.changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => self.changes.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())),
        };
        match result {
            Ok(()) => {
                while self.changes.try_recv().is_ok() {}
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => bail!("the watch on the store ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let lines =
            vec![vec!["NAME".to_owned(), "READY".to_owned()], vec!["a-long-name".to_owned(), "True".to_owned()]];
        assert_eq!(align(&lines, false), "NAME          READY\na-long-name   True\n");
    }

    #[test]
    fn kinds_have_short_names() {
        for word in ["dom", "domain", "domains", "Domain"] {
            assert_eq!(kinds(word).unwrap(), [Kind::Domain]);
        }
        assert!(kinds("pod").is_err());
    }
}
