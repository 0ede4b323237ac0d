//! Container images without a builder or a registry: a docker-archive, written and loaded.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::programs::hex;

/// An image: what it is called, what is in it, and what it runs.
#[derive(Debug)]
pub struct Image {
    /// Its name with a tag, as pods name it.
    pub name: String,
    /// What runs when a pod says nothing.
    pub entrypoint: Vec<String>,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// A layer: an uncompressed tar file.
#[derive(Debug)]
pub struct Layer {
    tar: File,
    digest: String,
}

impl Layer {
    /// A few programs: where they are in the image, and where on this machine.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn of_programs(programs: &[(&str, &Path)]) -> Result<Self> {
        let mut builder = tar::Builder::new(tempfile::tempfile()?);
        // Folders that an archive doesn't name get a mode of the unpacker's choice.
        let folders = programs.iter().flat_map(|(place, _)| Path::new(place).ancestors().skip(1));
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()).collect::<BTreeSet<_>>() {
            let mut header = header(0, 0o755);
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, folder, io::empty())?;
        }
        for (place, program) in programs {
            let mut file = File::open(program).with_context(|| format!("open {}", program.display()))?;
            builder.append_data(&mut header(file.metadata()?.len(), 0o755), place, &mut file)?;
        }
        Self::from_tar(builder.into_inner()?)
    }

    /// A whole folder, under another name.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn of_folder(place: &str, folder: &Path) -> Result<Self> {
        let mut builder = tar::Builder::new(tempfile::tempfile()?);
        builder.follow_symlinks(false);
        builder.mode(tar::HeaderMode::Deterministic);
        builder.append_dir_all(place, folder).with_context(|| format!("pack {}", folder.display()))?;
        Self::from_tar(builder.into_inner()?)
    }

    fn from_tar(mut tar: File) -> Result<Self> {
        tar.rewind()?;
        let mut digest = Sha256::new();
        copy(&mut tar, |bytes| digest.update(bytes))?;
        Ok(Layer { tar, digest: hex(&digest.finalize()) })
    }
}

impl Image {
    /// Busybox alone, which sleeps if it is told nothing.
    ///
    /// # Errors
    /// There is no static busybox.
    pub fn busybox(name: &str) -> Result<Self> {
        let layer = Layer::of_programs(&[("bin/busybox", Path::new("/bin/busybox"))])?;
        let entrypoint = ["/bin/busybox", "sleep", "1000000000"].map(str::to_owned).into();
        Ok(Image { name: name.to_owned(), entrypoint, layers: vec![layer] })
    }

    /// What hosts without a hypervisor need, below the product's own. `release` makes it another one.
    ///
    /// # Errors
    /// As [`super::runtime::tree`].
    pub fn ostler_runtime(name: &str, binary: &Path, release: &str) -> Result<Self> {
        let mut image = Self::ostler(name, binary)?;
        image.layers.insert(0, Layer::of_folder(".", &super::runtime::tree(release)?)?);
        Ok(image)
    }

    /// The product's own: the static binary. One that is not static, as tests build it, has its libraries beside it.
    ///
    /// # Errors
    /// The binary can't be read.
    pub fn ostler(name: &str, binary: &Path) -> Result<Self> {
        let libraries: Vec<PathBuf> = super::runtime::needed(binary)?.into_iter().collect();
        let mut files = vec![("usr/bin/ostler", binary)];
        for library in &libraries {
            files.push((library.to_str().context("a library's path is text")?.trim_start_matches('/'), library));
        }
        let layers = vec![Layer::of_programs(&files)?];
        Ok(Image { name: name.to_owned(), entrypoint: vec!["/usr/bin/ostler".to_owned()], layers })
    }

    /// Writes the image as `docker save` does.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&mut self, out: impl Write) -> Result<()> {
        let digests: Vec<String> = self.layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": digests},
        });
        let files: Vec<String> = self.layers.iter().map(|layer| format!("{}.tar", layer.digest)).collect();
        let manifest = json!([{"Config": "config.json", "RepoTags": [self.name], "Layers": files}]);
        let mut archive = tar::Builder::new(out);
        for (name, value) in [("manifest.json", &manifest), ("config.json", &config)] {
            let text = value.to_string();
            archive.append_data(&mut header(text.len() as u64, 0o644), name, text.as_bytes())?;
        }
        for (name, layer) in files.iter().zip(&mut self.layers) {
            layer.tar.rewind()?;
            let size = layer.tar.metadata()?.len();
            archive.append_data(&mut header(size, 0o644), name, &mut layer.tar)?;
        }
        archive.into_inner()?.flush()?;
        Ok(())
    }

    /// Writes the image to a file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write_file(&mut self, path: &Path) -> Result<PathBuf> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        self.write(io::BufWriter::new(file))?;
        Ok(path.to_owned())
    }
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

fn copy(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_names_its_layers_by_what_is_in_them() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("program"), "text").unwrap();
        let layer = Layer::of_programs(&[("usr/bin/ostler", &directory.path().join("program"))]).unwrap();
        let digest = layer.digest.clone();
        let mut image =
            Image { name: "localhost/x:1".into(), entrypoint: vec!["/usr/bin/ostler".into()], layers: vec![layer] };
        let mut archive = Vec::new();
        image.write(&mut archive).unwrap();
        let mut names = Vec::new();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().display().to_string());
            if names.last().unwrap().ends_with(".tar") {
                let mut layer = Vec::new();
                entry.read_to_end(&mut layer).unwrap();
                assert_eq!(hex(&Sha256::digest(&layer)), digest);
                let mut files = tar::Archive::new(layer.as_slice());
                let mut entries = files.entries().unwrap();
                let folder = entries.next().unwrap().unwrap();
                assert_eq!((folder.path().unwrap().to_str(), folder.header().mode().unwrap()), (Some("usr"), 0o755));
                let file = entries.nth(1).unwrap().unwrap();
                assert_eq!(
                    (file.path().unwrap().display().to_string(), file.header().mode().unwrap(), file.size()),
                    ("usr/bin/ostler".into(), 0o755, 4)
                );
            }
        }
        assert_eq!(names, ["manifest.json", "config.json", &format!("{digest}.tar")]);
    }
}
