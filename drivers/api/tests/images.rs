//! What QEMU makes is read as QEMU reads it.

use std::fs::File;
use std::path::Path;

use ostler_conf::domain::{EncryptionFormat, ImageFormatName as Format};
use ostler_driver::image::{Chain, header, probe};
use ostler_util::run::Run;

fn qemu_img(arguments: &[&str]) -> Vec<u8> {
    let output = Run::new("qemu-img").args(arguments).output().expect("qemu-img is installed");
    assert!(output.status.success(), "{arguments:?}: {}", output.error_text());
    output.stdout
}

fn create(format: &str, options: &[&str], path: &Path) {
    let path = path.to_str().unwrap();
    qemu_img(&[&["create", "-q", "-f", format], options, &[path, "64M"]].concat());
}

#[test]
fn every_format_is_recognised_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for (format, options, expected) in [
        ("qcow2", &["-o", "compat=0.10"][..], Format::Qcow2),
        ("qcow2", &["-o", "compat=1.1,cluster_size=512,extended_l2=off"], Format::Qcow2),
        ("qcow2", &["-o", "extended_l2=on,compression_type=zstd"], Format::Qcow2),
        ("qcow", &[], Format::Qcow),
        ("qed", &[], Format::Qed),
        ("vdi", &[], Format::Vdi),
        ("vdi", &["-o", "static=on"], Format::Vdi),
        ("vpc", &["-o", "subformat=dynamic"], Format::Vpc),
        ("vhdx", &[], Format::Vhdx),
        ("vmdk", &["-o", "subformat=monolithicSparse"], Format::Vmdk),
        ("vmdk", &["-o", "subformat=streamOptimized"], Format::Vmdk),
        ("parallels", &[], Format::Ploop),
    ] {
        create(format, options, &path);
        let file = File::open(&path).unwrap();
        assert_eq!(probe(&file).unwrap(), expected, "{format} {options:?}");
        let info = qemu_img(&["info", "--output=json", "-f", format, path.to_str().unwrap()]);
        let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
        let capacity = header(&file, expected).unwrap().capacity;
        assert_eq!(capacity, info["virtual-size"].as_u64(), "{format} {options:?}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_has_no_header_in_front_is_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for (format, options, real) in [
        ("raw", &[][..], Format::Raw),
        ("vpc", &["-o", "subformat=fixed"], Format::Vpc),
        ("vmdk", &["-o", "subformat=monolithicFlat"], Format::Vmdk),
    ] {
        create(format, options, &path);
        let file = File::open(&path).unwrap();
        assert_eq!(probe(&file).unwrap(), Format::Raw, "{format}");
        let capacity = header(&file, real).unwrap().capacity;
        let info = qemu_img(&["info", "--output=json", "-f", format, path.to_str().unwrap()]);
        let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
        assert_eq!(capacity, info["virtual-size"].as_u64().filter(|_| real != Format::Raw), "{format}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn an_encrypted_image_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let secret = ["--object", "secret,id=s,data=passphrase"];
    let quick = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    create("qcow2", &[&secret[..], &["-o", quick]].concat(), &path);
    let of = |format| header(&File::open(&path).unwrap(), format).unwrap().encryption;
    assert_eq!(of(Format::Qcow2), Some(EncryptionFormat::Luks));
    std::fs::remove_file(&path).unwrap();
    create("luks", &[&secret[..], &["-o", "key-secret=s,iter-time=10"]].concat(), &path);
    assert_eq!(of(Format::Raw), Some(EncryptionFormat::Luks));
}

#[test]
fn formats_of_all_kinds_stand_on_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    create("raw", &[], &path("base"));
    create("vmdk", &[], &path("base.vmdk"));
    for (format, below, below_format, expected) in [
        ("qcow2", "base", "raw", Format::Qcow2),
        ("qcow", "base", "raw", Format::Qcow),
        ("qed", "base", "raw", Format::Qed),
        ("vmdk", "base.vmdk", "vmdk", Format::Vmdk),
    ] {
        let (top, below) = (path(&format!("top.{format}")), path(below));
        qemu_img(&[
            "create",
            "-q",
            "-f",
            format,
            "-b",
            below.to_str().unwrap(),
            "-F",
            below_format,
            top.to_str().unwrap(),
        ]);
        let chain = Chain::detect(&top, Some(expected), 10).unwrap();
        let chain: Vec<_> =
            chain.layers.iter().map(|layer| (layer.source.path().unwrap(), layer.format.word())).collect();
        assert_eq!(chain, [(top.to_str().unwrap(), format), (below.to_str().unwrap(), below_format)]);
    }
}

#[test]
fn damaged_headers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for format in ["qcow2", "qcow", "qed", "vdi", "vpc", "vhdx", "vmdk", "parallels"] {
        create(format, &[], &path);
        let whole = std::fs::read(&path).unwrap();
        let name = if format == "parallels" { "ploop" } else { format };
        let of_name = Format::ALL.iter().copied().find(|format| format.word() == name).unwrap();
        // Cut anywhere, or with any byte of its first sector turned, it is refused or read, and nothing else happens.
        for end in (0..whole.len().min(1024)).step_by(7) {
            std::fs::write(&path, &whole[..end]).unwrap();
            let _ = header(&File::open(&path).unwrap(), of_name);
        }
        for at in 0..whole.len().min(512) {
            let mut bytes = whole[..whole.len().min(4096)].to_vec();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).unwrap();
            let _ = header(&File::open(&path).unwrap(), of_name);
        }
        std::fs::write(&path, &whole[1..]).unwrap();
        let read = header(&File::open(&path).unwrap(), of_name);
        // The copy of a Virtual PC's description at the image's end is whole still.
        assert_eq!(read.is_ok(), format == "vpc", "{format}");
        std::fs::remove_file(&path).unwrap();
    }
}
