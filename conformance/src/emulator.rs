//! The emulator of a case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ostler_driver_qemu::{Capabilities, Flag, Gic, Machine};
use serde_json::Value;

use super::case::Case;
use super::qapi::Schema;

/// What the case's emulator can do: the saved capabilities that it names, as it changes them.
pub(super) fn capabilities(case: &Case) -> Result<Capabilities, String> {
    let mut capabilities = saved(case)?;
    // That of the newest emulator, where the case does not say so.
    let is_latest = case.param("macro").as_str().is_some_and(|name| name.ends_with("ACTIVE_CAPS_LATEST"));
    if is_latest || case.param("strip_machine_aliases").as_bool() == Some(true) {
        for accelerated in [&mut capabilities.kvm, &mut capabilities.hvf, &mut capabilities.tcg] {
            // An alias is a machine type of its own here; the first of all is the default.
            let own = std::mem::take(&mut accelerated.machines).into_iter().flat_map(|mut machine| {
                let alias = machine.alias.take();
                [alias.map(|name| Machine { name, ..machine.clone() }), Some(machine)].into_iter().flatten()
            });
            accelerated.machines = own.collect();
        }
    }
    flags(case, "caps_add")?.into_iter().for_each(|flag| capabilities.flags.insert(flag));
    flags(case, "caps_del")?.into_iter().for_each(|flag| capabilities.flags.remove(flag));
    if let Some(gic) = case.param("gic").as_str() {
        let versions: &[u8] = match gic {
            "v2" => &[2],
            "v3" => &[3],
            "both" => &[2, 3],
            _ => &[],
        };
        let of = |version: &u8| Gic { version: *version, kernel: true, emulated: true };
        capabilities.gic = versions.iter().map(of).collect();
    }
    Ok(capabilities)
}

fn flags(case: &Case, name: &str) -> Result<Vec<Flag>, String> {
    let words = case.param(name).as_array().into_iter().flatten();
    let flag = |word: &str| Flag::from_word(word).ok_or_else(|| format!("an unknown flag '{word}'"));
    words.map(|word| flag(word.as_str().unwrap_or_default())).collect()
}

/// Many cases name the same file, and reading it takes long.
fn saved(case: &Case) -> Result<Capabilities, String> {
    static KNOWN: Mutex<BTreeMap<String, Capabilities>> = Mutex::new(BTreeMap::new());
    let name = case.param("caps_file").as_str().ok_or("the case has no capabilities")?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(capabilities) = known.get(name) {
        return Ok(capabilities.clone());
    }
    let found = Capabilities::from_saved(&case.data_text(name)?).map_err(|error| format!("capabilities: {error}"))?;
    known.insert(name.to_owned(), found.clone());
    Ok(found)
}

/// What the case's emulator says that its commands take. Many cases name the same file here as well.
pub(super) fn schema(case: &Case) -> Result<Arc<Schema>, String> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Schema>>> = Mutex::new(BTreeMap::new());
    let name = case.param("schema_replies_file").as_str().ok_or("the case has no description of QEMU's commands")?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = known.get(name) {
        return Ok(schema.clone());
    }
    let text = case.data_text(name)?;
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let asked =
        documents.find(|question| question.as_ref().is_ok_and(|question| question["execute"] == "query-qmp-schema"));
    let answer = asked.and_then(|_| documents.next()).ok_or_else(|| format!("{name}: nobody asked for the schema"))?;
    let schema = Arc::new(Schema::read(&answer.map_err(|error| format!("{name}: {error}"))?)?);
    known.insert(name.to_owned(), schema.clone());
    Ok(schema)
}
