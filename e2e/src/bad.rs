//! Bad manifests: one file a mistake, with the place and the words of its refusal.
//!
//! Its comments tell what is expected, and `# refused` marks the line. `seen by` is who finds the mistake first when the
//! manifest is applied to a cluster:
//!
//! | `seen by` | who |
//! |---|---|
//! | `file` | nobody but what reads files: kubectl reads YAML in its own way |
//! | `schema` | the API server, by schema or rule |
//! | `webhook` | the controller's webhook, by `ostler::admission` |
//!
//! A file whose name begins with `update-` holds an object and a change of it; only the change is bad.

use std::fs;
use std::path::Path;

/// A bad manifest and what must be said of it.
#[derive(Clone, Debug)]
pub struct BadManifest {
    /// The file's name without `.yaml`.
    pub name: String,
    /// The whole file.
    pub text: String,
    /// The field that is blamed.
    pub path: String,
    /// Some of our words for it.
    pub says: String,
    /// Some of the API server's words for it, where its path or words differ from ours.
    pub server: Option<String>,
    /// Who sees it first in a cluster.
    pub seen_by: SeenBy,
    /// The line that is blamed, from 1.
    pub line: usize,
}

/// Who sees a mistake first in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenBy {
    /// Nobody but what reads files.
    File,
    /// The API server.
    Schema,
    /// The controller's webhook.
    Webhook,
}

impl BadManifest {
    /// Whether only the change to the second document is bad.
    pub fn is_update(&self) -> bool {
        self.name.starts_with("update-")
    }

    /// The documents: what is bad comes last. Each case has an object of its own name, so that they can be side by side.
    pub fn documents(&self) -> Vec<String> {
        self.named().split("---\n").map(str::to_owned).collect()
    }

    /// What is bad, on its own line; of an update, only the change.
    pub fn last_document(&self) -> String {
        let text = self.named();
        match text.rsplit_once("---\n") {
            Some((before, last)) => "#\n".repeat(before.lines().count() + 1) + last,
            None => text,
        }
    }

    fn named(&self) -> String {
        ["name", "volume"].iter().fold(self.text.clone(), |text, field| {
            text.replace(&format!("{field}: bad"), &format!("{field}: {}", self.name))
        })
    }
}

/// All of them.
///
/// # Panics
/// A file that doesn't say what is expected.
pub fn all() -> Vec<BadManifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bad");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> BadManifest {
    let text = fs::read_to_string(file).unwrap();
    let said = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {key}:")));
        line.map(|value| value.trim().to_owned())
    };
    let expected = |key: &str| said(key).unwrap_or_else(|| panic!("{}: '# {key}:' is missing", file.display()));
    let marked = text.lines().position(|line| line.ends_with("# refused"));
    BadManifest {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        path: expected("path"),
        says: expected("says"),
        server: said("server"),
        seen_by: match expected("seen by").as_str() {
            "file" => SeenBy::File,
            "schema" => SeenBy::Schema,
            "webhook" => SeenBy::Webhook,
            other => panic!("{}: seen by '{other}'?", file.display()),
        },
        line: marked.unwrap_or_else(|| panic!("{}: no line is marked", file.display())) + 1,
        text,
    }
}
