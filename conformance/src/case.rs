//! One line of a manifest.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// Whether a case holds, or why not. One that holds may have a remark: a refusal of another class than libvirt's.
pub type Verdict = Result<Option<String>, String>;

/// A case: what is given, and what is expected.
#[derive(Debug)]
pub struct Case {
    /// Its name, unique in its suite.
    pub name: String,
    data: PathBuf,
    line: Value,
}

/// What should come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is accepted.
    Accepted,
    /// It is refused, when read or later.
    Refused,
    /// Accepted and refused are both fine.
    Either,
}

impl Case {
    /// Reads a line of a manifest of `corpus`.
    ///
    /// # Errors
    /// No JSON, or no name.
    pub fn read(corpus: &Path, line: &str) -> anyhow::Result<Case> {
        let line: Value = serde_json::from_str(line)?;
        let name = line["case"].as_str().context("a case without a name")?.to_owned();
        Ok(Case { name, data: corpus.join("data"), line })
    }

    /// What should come of it.
    pub fn outcome(&self) -> Outcome {
        match self.line["expect"]["outcome"].as_str() {
            Some("ok") => Outcome::Accepted,
            Some("either") => Outcome::Either,
            _ => Outcome::Refused,
        }
    }

    /// Whether reading it, completing it and checking it must fail already.
    pub fn is_refused_when_read(&self) -> bool {
        self.line["expect"]["outcome"] == "parse-error"
    }

    /// libvirt's error number, where the case tells it.
    pub fn error_code(&self) -> Option<i64> {
        self.line["expect"]["error_code"].as_i64()
    }

    /// A parameter; `Null` where there is none.
    pub fn param(&self, name: &str) -> &Value {
        &self.line["params"][name]
    }

    /// What is expected under this name; `Null` where nothing is.
    pub fn expected(&self, name: &str) -> &Value {
        &self.line["expect"][name]
    }

    /// An expectation that stands in the manifest itself; `Null` where there is none.
    pub fn expected_value(&self) -> &Value {
        &self.line["expect"]["value"]
    }

    /// Whether one of the case's flags is set.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.param("flags").as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
    }

    /// Where the main file or folder is.
    pub fn input_path(&self) -> PathBuf {
        self.data.join(self.line["input"].as_str().unwrap_or_default())
    }

    /// The main file's text.
    ///
    /// # Errors
    /// No file, or not readable.
    pub fn input(&self) -> Result<String, String> {
        self.file(&self.line["input"])?.ok_or_else(|| "the case has no input".to_owned())
    }

    /// The text of a further file.
    ///
    /// # Errors
    /// No file of that name, or not readable.
    pub fn further_input(&self, name: &str) -> Result<String, String> {
        self.file(&self.line["inputs"][name])?.ok_or_else(|| format!("the case has no input '{name}'"))
    }

    /// The expected document, its continued lines joined; `None`: it is not compared.
    ///
    /// # Errors
    /// Not readable.
    pub fn expected_xml(&self) -> Result<Option<String>, String> {
        self.expected_file("xml")
    }

    /// The expected text under this name, its continued lines joined; `None`: it is not compared.
    ///
    /// # Errors
    /// Not readable.
    pub fn expected_file(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.file(&self.line["expect"][name])?.map(|text| text.replace("\\\n", "")))
    }

    /// Where the corpus has this file or folder.
    pub fn data_file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// An expectation by name, as text.
    pub fn param_of_expect(&self, name: &str) -> &str {
        self.line["expect"][name].as_str().unwrap_or_default()
    }

    /// The expected message; `None`: none is stored.
    ///
    /// # Errors
    /// Not readable.
    pub fn expected_error(&self) -> Result<Option<String>, String> {
        self.file(&self.line["expect"]["error"])
    }

    /// The text of the file that a parameter names.
    ///
    /// # Errors
    /// Not readable.
    pub fn param_file(&self, name: &str) -> Result<Option<String>, String> {
        self.file(&self.line["params"][name])
    }

    /// A file or folder of the corpus.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The text of a file of the corpus.
    ///
    /// # Errors
    /// Not readable.
    pub fn data_text(&self, name: &str) -> Result<String, String> {
        self.file(&Value::String(name.to_owned()))?.ok_or_else(|| format!("no file {name}"))
    }

    fn file(&self, name: &Value) -> Result<Option<String>, String> {
        let Some(name) = name.as_str() else { return Ok(None) };
        let path = self.data.join(name);
        std::fs::read_to_string(&path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
    }
}
