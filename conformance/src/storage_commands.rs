//! The commands of storage: how volumes are made, and pools reached.

use std::path::Path;

use ostler_conf::storage_pool::PoolType;
use ostler_conf::{StoragePool, StorageVolume, parse};
use ostler_driver_storage::{ImageOfVolume, activation, creation};

use super::case::{Case, Outcome, Verdict};
use super::command::wrapped;
use super::compare::same_text;

pub(super) fn pool(case: &Case) -> Verdict {
    let mut pool = parse::<StoragePool>(&case.input()?).map_err(|error| error.to_string())?.value;
    pool.complete();
    let command = activation(&pool);
    match (case.outcome(), command) {
        (Outcome::Refused, None) => Ok(None),
        (Outcome::Refused, Some(_)) => Err("a command, where none was expected".to_owned()),
        (_, None) => Err("no command".to_owned()),
        (_, Some(command)) => same_text(
            &case.data_text(case.param_of_expect("args"))?,
            &wrapped::<String>(&[], command.program, &command.arguments),
        ),
    }
}

pub(super) fn volume(case: &Case) -> Verdict {
    let volume = read(case.input()?, case.further_input("pool")?)?;
    let input = match case.further_input("input_vol") {
        Ok(text) => Some(read(text, case.further_input("input_pool")?)?),
        Err(_) => None,
    };
    let image = |volume, passphrase| -> Result<ImageOfVolume<'_>, String> {
        let passphrase = case.param(passphrase).as_str().map(Path::new);
        Ok(ImageOfVolume { volume, path: path(volume)?, passphrase })
    };
    let input = input.as_ref().map(|volume| image(volume, "input_secret_path")).transpose()?;
    let is_reserved = case.param("create_flags") == "VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA";
    match (case.outcome(), creation(image(&volume, "secret_path")?, input, is_reserved)) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(refusal)) => Err(format!("refused: {refusal}")),
        (_, Ok(commands)) => {
            let tool = case.param("create_tool").as_str().unwrap_or_default();
            let commands: Vec<_> = commands.iter().map(|words| wrapped::<String>(&[], tool, words)).collect();
            same_text(&case.data_text(case.param_of_expect("args"))?, &commands.join("\n"))
        }
    }
}

/// The volume, with the format that its pool's volumes have. Sizes that it doesn't tell are left to the tool.
fn read(volume: String, pool: String) -> Result<StorageVolume, String> {
    let pool = parse::<StoragePool>(&pool).map_err(|error| format!("pool: {error}"))?.value;
    let mut volume = parse::<StorageVolume>(&volume).map_err(|error| error.to_string())?.value;
    let sizes = (volume.capacity, volume.allocation);
    volume.complete(pool.r#type.unwrap_or(PoolType::Dir));
    (volume.capacity, volume.allocation) = sizes;
    Ok(volume)
}

fn path(volume: &StorageVolume) -> Result<&str, String> {
    volume.target.as_ref().and_then(|target| target.path.as_deref()).ok_or_else(|| "the volume has no path".to_owned())
}
