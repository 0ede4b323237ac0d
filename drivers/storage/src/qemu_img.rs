//! Making images as `qemu-img` makes them: what is encrypted, converted, or of a format that is not made here ([`crate::qcow2`]).
//! The command lines are a pure function of what is wanted; passphrases are in files that QEMU reads, never among the words.

use std::path::Path;

use ostler_conf::StorageVolume;
use ostler_conf::encryption::{Encryption, EncryptionFormat};
use ostler_conf::storage_volume::VolumeFormatName as Format;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// A volume's image, at its path.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The volume.
    pub volume: &'a StorageVolume,
    /// Where its image is or will be.
    pub path: &'a str,
    /// The file with its passphrase, where it is encrypted.
    pub passphrase: Option<&'a Path>,
}

/// The arguments of each call of `qemu-img` that makes `image`, in their order: a copy of `input` or, without one, empty.
/// With `is_reserved` its tables are made beforehand and, as far as its allocation reaches, its data too.
///
/// # Errors
/// `ConfigUnsupported` for what the format can't be or hold.
pub fn creation(image: Image<'_>, input: Option<Image<'_>>, is_reserved: bool) -> Result<Vec<Vec<String>>> {
    let capacity = image.volume.capacity.or(input.and_then(|input| input.volume.capacity)).map(|size| size.0.bytes());
    let is_encrypted = encryption(image.volume)?.is_some();
    let options = options(image, input.is_none(), is_reserved, capacity)?;
    match input {
        Some(input) if is_encrypted || encryption(input.volume)?.is_some() => {
            Ok(vec![create(image, None, options, capacity)?, convert_between(image, input)?])
        }
        Some(input) => {
            let mut words = words(&["convert", "-f", name(input.volume), "-O", name(image.volume)]);
            words.extend(options_argument(options));
            words.extend([input.path.to_owned(), image.path.to_owned()]);
            Ok(vec![words])
        }
        None => Ok(vec![create(image, backing(image.volume)?, options, capacity)?]),
    }
}

fn create(image: Image<'_>, backing: Option<&str>, options: Vec<String>, capacity: Option<u64>) -> Result<Vec<String>> {
    let luks = is_plain_luks(image.volume)?;
    let mut words = words(&["create", "-f", if luks { "luks" } else { name(image.volume) }]);
    words.extend(backing.into_iter().flat_map(|path| ["-b".to_owned(), path.to_owned()]));
    words.extend(secret(image, &secret_name(image.volume))?);
    words.extend(options_argument(options));
    words.push(image.path.to_owned());
    words.extend(capacity.map(|bytes| format!("{}K", bytes.div_ceil(1024))));
    Ok(words)
}

/// Copies between images of which QEMU must be told more than their formats.
fn convert_between(image: Image<'_>, input: Image<'_>) -> Result<Vec<String>> {
    let mut words = words(&["convert", "--image-opts", "-n", "--target-image-opts"]);
    let name = secret_name(image.volume);
    let mut name_of_input = secret_name(input.volume);
    if name_of_input == name {
        name_of_input += "_input";
    }
    words.extend(secret(image, &name)?);
    words.extend(secret(input, &name_of_input)?);
    words.push(image_options(input, &name_of_input)?);
    words.push(image_options(image, &name)?);
    Ok(words)
}

fn image_options(image: Image<'_>, secret: &str) -> Result<String> {
    let luks = is_plain_luks(image.volume)?;
    let driver = if luks { "luks" } else { name(image.volume) };
    let mut options = format!("driver={driver},file.filename={}", escaped(image.path));
    if encryption(image.volume)?.is_some() {
        let prefix = if luks { "" } else { "encrypt." };
        options += &format!(",{prefix}key-secret={secret}");
    }
    Ok(options)
}

fn options(image: Image<'_>, is_empty: bool, is_reserved: bool, capacity: Option<u64>) -> Result<Vec<String>> {
    let volume = image.volume;
    let mut options = Vec::new();
    if let Some(format) = volume.backing_store.as_ref().filter(|backing| is_empty && backing.path.is_some()) {
        let format = format.format.as_ref().and_then(|format| format.r#type);
        options.extend(format.map(|format| format!("backing_fmt={}", format.word())));
    }
    if let Some(encryption) = encryption(volume)? {
        options.extend(encryption_options(volume, encryption)?);
    }
    if volume.format() == Format::Qcow2 {
        options.extend(qcow2_options(volume, is_reserved, capacity)?);
    }
    Ok(options)
}

fn encryption_options(volume: &StorageVolume, encryption: &Encryption) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let prefix = if is_plain_luks(volume)? {
        ""
    } else {
        options.push("encrypt.format=luks".to_owned());
        "encrypt."
    };
    options.push(format!("{prefix}key-secret={}", secret_name(volume)));
    let mut add = |name: &str, value: Option<&str>| {
        options.extend(value.map(|value| format!("{prefix}{name}={}", escaped(value))));
    };
    if let Some(cipher) = &encryption.cipher {
        add("cipher-alg", Some(&format!("{}-{}", cipher.name, cipher.size)));
        add("cipher-mode", cipher.mode.as_deref());
        add("hash-alg", cipher.hash.as_deref());
    }
    if let Some(ivgen) = &encryption.ivgen {
        add("ivgen-alg", Some(&ivgen.name));
        add("ivgen-hash-alg", ivgen.hash.as_deref());
    }
    Ok(options)
}

fn qcow2_options(volume: &StorageVolume, is_reserved: bool, capacity: Option<u64>) -> Result<Vec<String>> {
    let mut options = Vec::new();
    if is_reserved {
        let allocation = volume.allocation.map(|size| size.0.bytes());
        let is_part = allocation.zip(capacity).is_some_and(|(allocation, capacity)| allocation < capacity);
        options.push(format!("preallocation={}", if is_part { "metadata" } else { "falloc" }));
    }
    let target = volume.target.as_ref();
    options.extend(target.filter(|target| target.nocow).map(|_| "nocow=on".to_owned()));
    let compat = target.and_then(|target| target.compat.as_deref()).unwrap_or("1.1");
    options.push(format!("compat={compat}"));
    let Some(target) = target else { return Ok(options) };
    options.extend(target.cluster_size.map(|size| format!("cluster_size={}", size.0.bytes())));
    if let Some(features) = &target.features {
        for (is_wanted, name, option) in [
            (features.lazy_refcounts, "lazy_refcounts", "lazy_refcounts"),
            (features.extended_l2, "extended_l2", "extended_l2=on"),
        ] {
            if is_wanted && compat == "0.10" {
                return Err(unsupported(format!("version 0.10 of qcow2 has no {name}")).at("target.features"));
            }
            options.extend(is_wanted.then(|| option.to_owned()));
        }
    }
    Ok(options)
}

fn backing(volume: &StorageVolume) -> Result<Option<&str>> {
    let path = volume.backing_store.as_ref().and_then(|backing| backing.path.as_deref());
    if path.is_some() && volume.format() == Format::Raw {
        return Err(unsupported("a raw volume can't stand on another".to_owned()).at("backingStore"));
    }
    Ok(path)
}

/// How the volume is encrypted; QEMU makes LUKS only, in raw and qcow2 images.
fn encryption(volume: &StorageVolume) -> Result<Option<&Encryption>> {
    let Some(encryption) = volume.target.as_ref().and_then(|target| target.encryption.as_ref()) else {
        return Ok(None);
    };
    if encryption.format != EncryptionFormat::Luks {
        let format = encryption.format;
        return Err(
            unsupported(format!("no image is made with encryption '{format}': 'luks' is")).at("target.encryption")
        );
    }
    if !matches!(volume.format(), Format::Raw | Format::Qcow2) {
        let format = volume.format();
        return Err(unsupported(format!("an image of the format '{format}' is not encrypted")).at("target.encryption"));
    }
    Ok(Some(encryption))
}

/// Whether the image is LUKS and no other format.
fn is_plain_luks(volume: &StorageVolume) -> Result<bool> {
    Ok(volume.format() == Format::Raw && encryption(volume)?.is_some())
}

fn secret(image: Image<'_>, name: &str) -> Result<Vec<String>> {
    if encryption(image.volume)?.is_none() {
        return Ok(Vec::new());
    }
    let missing = || Error::new(ErrorCode::InternalError, format!("the passphrase of {} was not given", image.path));
    let file = escaped(&image.passphrase.ok_or_else(missing)?.to_string_lossy());
    Ok(vec!["--object".to_owned(), format!("secret,id={name},file={file}")])
}

/// What QEMU calls the passphrase of a volume: of letters, digits, `-`, `.` and `_`, from a letter on.
fn secret_name(volume: &StorageVolume) -> String {
    let starts = volume.name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let mut name = if starts { String::new() } else { "v-".to_owned() };
    for letter in volume.name.chars() {
        match letter {
            '-' | '.' | '_' => name.push(letter),
            _ if letter.is_ascii_alphanumeric() => name.push(letter),
            other => name += &format!("_{:x}_", u32::from(other)),
        }
    }
    name + "_encrypt0"
}

/// QEMU's name of the format; a CD image is raw bytes, and so is what has none.
fn name(volume: &StorageVolume) -> &'static str {
    match volume.format() {
        Format::Iso | Format::None => "raw",
        other => other.word(),
    }
}

fn options_argument(options: Vec<String>) -> Vec<String> {
    if options.is_empty() { Vec::new() } else { vec!["-o".to_owned(), options.join(",")] }
}

/// A comma in a value is written twice.
fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, message)
}

#[cfg(test)]
mod tests {
    use ostler_util::run::Run;

    use super::*;

    fn volume(name: &str, inner: &str) -> StorageVolume {
        let text = format!("<volume><name>{name}</name>{inner}</volume>");
        ostler_conf::parse::<StorageVolume>(&text).unwrap().value
    }

    const SECRET: &str = "<secret type='passphrase' uuid='00010203-0405-4607-8809-0a0b0c0d0e0f'/>";

    fn luks(name: &str, format: &str) -> StorageVolume {
        let target = format!("<format type='{format}'/><encryption format='luks'>{SECRET}</encryption>");
        volume(name, &format!("<capacity unit='MiB'>1</capacity><target>{target}</target>"))
    }

    #[test]
    fn qemu_img_carries_it_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("passphrase"), "secret").unwrap();
        let passphrase = folder.path().join("passphrase");
        let plain = volume(
            "a,b",
            "<capacity unit='MiB'>1</capacity><target><format type='qcow2'/><clusterSize unit='KiB'>128</clusterSize>\
             <features><lazy_refcounts/><extended_l2/></features></target>",
        );
        let (raw, qcow2) = (luks("1,", "raw"), luks("1,", "qcow2"));
        let image = |volume, name: &str| (volume, path(name));
        for ((volume, path), input) in [
            (image(&plain, "a,b"), None),
            (image(&raw, "raw,"), Some((&plain, path("a,b")))),
            (image(&qcow2, "qcow2"), Some((&raw, path("raw,")))),
            (image(&plain, "c"), Some((&qcow2, path("qcow2")))),
        ] {
            let image = |volume, path| Image { volume, path, passphrase: Some(&passphrase) };
            let input = input.as_ref().map(|(volume, path)| image(volume, path));
            for arguments in creation(image(volume, &path), input, true).unwrap() {
                let output = Run::new("qemu-img").args(&arguments).output().unwrap();
                assert!(output.status.success(), "{arguments:?}: {}", output.error_text());
            }
        }
        let output = Run::new("qemu-img").args(["compare", &path("c"), &path("a,b")]).output().unwrap();
        assert!(output.status.success(), "{}", output.error_text());
    }

    #[test]
    fn what_no_format_holds_is_refused() {
        for inner in [
            "<target><format type='qcow2'/><compat>0.10</compat><features><lazy_refcounts/></features></target>",
            "<target><format type='qcow2'/><compat>0.10</compat><features><extended_l2/></features></target>",
            "<target><format type='qcow2'/><encryption format='qcow'/></target>",
            "<target><format type='vdi'/><encryption format='luks'/></target>",
            "<target><format type='raw'/></target><backingStore><path>/x</path></backingStore>",
        ] {
            let volume = volume("v", inner);
            let image = Image { volume: &volume, path: "/v", passphrase: Some(Path::new("/p")) };
            assert_eq!(creation(image, None, false).unwrap_err().code, ErrorCode::ConfigUnsupported, "{inner}");
        }
    }
}
