//! Small suites of QEMU's: what may be locked, the parameters of a migration, nbdkit's command lines, lists of options.

use std::path::Path;

use ostler_conf::domain::{Disk, DiskDevice, DiskSource};
use ostler_conf::xml::{Element, Reader, Root, Writer};
use ostler_conf::{Domain, Problem, format, parse};
use ostler_driver_qemu::offline::Age;
use ostler_driver_qemu::{Export, LockedMemory, MigrationParameters, locked_memory, option_list};
use serde_json::{Value, json};

use super::case::{Case, Verdict};
use super::command::wrapped;
use super::compare::same_text;
use super::qemu_xml;

fn document(case: &Case) -> Result<Domain, String> {
    let mut domain = parse::<Domain>(&case.input()?).map_err(|error| error.to_string())?.value;
    domain.complete();
    Ok(domain)
}

pub(super) fn locked(case: &Case) -> Verdict {
    let domain = qemu_xml::setting(case)?.define(&case.input()?, Age::Old).map_err(|error| error.to_string())?;
    let bytes = match locked_memory(&domain) {
        LockedMemory::Default => json!(0),
        LockedMemory::Bytes(bytes) => json!(bytes),
        LockedMemory::Unlimited => case.param("unlimited_means").clone(),
    };
    let expected = case.expected_value();
    if *expected == bytes { Ok(None) } else { Err(format!("expected {expected}, got {bytes}")) }
}

/// JSON as a list of options, in which the members of arrays are numbered.
pub(super) fn options(case: &Case) -> Verdict {
    let value: Value = serde_json::from_str(text(case, "text")?).map_err(|error| error.to_string())?;
    match case.param("array_format").as_str() {
        Some("numbered") => same_text(case.expected_value().as_str().unwrap_or_default(), &option_list(&value, "")),
        other => Err(format!("arrays written as {other:?} are not served")),
    }
}

/// What the cases' documents hold.
struct Wrapper(MigrationParameters);

impl Element for Wrapper {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        reader.required_element("migParams").map(Wrapper)
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, writer: &mut Writer) {
        writer.element("migParams", true, |writer| self.0.body(writer));
    }
}

impl Root for Wrapper {
    const NAME: &'static str = "test";
}

pub(super) fn migration_parameters(case: &Case) -> Verdict {
    let input = case.input()?;
    let of_reply = || {
        let reply: Value = serde_json::from_str(&input).map_err(|error| error.to_string())?;
        Ok::<_, String>(MigrationParameters::of_reply(&reply["return"]))
    };
    let xml = |parameters| same_text(&case.expected_xml()?.unwrap_or_default(), &format(&Wrapper(parameters)));
    match case.param("kind").as_str().unwrap_or_default() {
        "reply-to-xml" => xml(of_reply()?),
        "xml-to-xml" => xml(parse::<Wrapper>(&input).map_err(|error| error.to_string())?.value.0),
        "reply-to-json" => {
            let produced = serde_json::to_string_pretty(&of_reply()?.arguments()).unwrap_or_default();
            same_text(&case.expected_file("json")?.unwrap_or_default(), &produced)
        }
        kind => Err(format!("cases of the kind '{kind}' are not served")),
    }
}

/// One command for each disk that nbdkit can reach; each pipe has two numbers, of which the second is written to.
pub(super) fn nbdkit(case: &Case) -> Verdict {
    let domain = document(case)?;
    let folder = text(case, "state_dir")?.replace("<name>", &domain.name);
    let mut fd = case.param("first_pipe_fd").as_i64().unwrap_or_default() as i32;
    let mut remaining = case.expected("args").as_object().cloned().unwrap_or_default();
    let mut pipes = case.expected("pipe").as_object().cloned().unwrap_or_default();
    for (number, disk) in domain.devices.disks.iter().enumerate() {
        let Some(DiskSource::Network(source)) = &disk.source else { continue };
        let name = format!("disk{number}-src0");
        let export = Export { source, auth: auth(disk), is_readonly: is_readonly(disk) };
        let password = export.auth.and_then(|auth| auth.secret.as_ref()).map(|secret| {
            let kind = secret.r#type.map_or("", |kind| kind.word());
            let usage = secret.usage.clone().or(secret.uuid.map(|uuid| uuid.to_string())).unwrap_or_default();
            format!("{kind}-{usage}-secret")
        });
        let mut written = Vec::new();
        let command =
            export.command(Path::new(&format!("{folder}/nbdkit-{name}.socket")), password.as_deref(), |text| {
                let read_end = fd;
                written.push((format!("{name}.pipe.{}", fd + 1), text.to_owned()));
                fd += 2;
                read_end
            });
        let Some(expected) = remaining.remove(&name) else {
            if command.is_some() {
                return Err(format!("{name}: no command was expected"));
            }
            continue;
        };
        let command = command.ok_or_else(|| format!("{name}: a command was expected"))?;
        let produced = wrapped(&command.environment, "nbdkit", &command.arguments);
        same_text(&case.data_text(expected.as_str().unwrap_or_default())?, &produced)
            .map_err(|error| format!("{name}: {error}"))?;
        for (pipe, text) in written {
            let expected = pipes.remove(&pipe).ok_or_else(|| format!("{pipe}: nothing was expected"))?;
            same_text(&case.data_text(expected.as_str().unwrap_or_default())?, &text)
                .map_err(|error| format!("{pipe}: {error}"))?;
        }
    }
    match remaining.keys().chain(pipes.keys()).next() {
        None => Ok(None),
        Some(missing) => Err(format!("{missing} is missing")),
    }
}

fn text<'a>(case: &'a Case, name: &str) -> Result<&'a str, String> {
    case.param(name).as_str().ok_or_else(|| format!("the case has no '{name}'"))
}

fn auth(disk: &Disk) -> Option<&ostler_conf::domain::Auth> {
    disk.source.as_ref().and_then(|source| source.common().auth.as_ref()).or(disk.auth.as_ref())
}

fn is_readonly(disk: &Disk) -> bool {
    disk.readonly || disk.device == Some(DiskDevice::Cdrom)
}
