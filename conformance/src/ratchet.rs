//! The file that keeps what holds holding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;

use super::Suite;

/// The names of the cases that hold, by suite.
#[derive(Debug, Default)]
pub struct Ratchet {
    suites: BTreeMap<String, BTreeSet<String>>,
}

impl Ratchet {
    /// Reads the file; one that is not there holds nothing.
    ///
    /// # Errors
    /// Not readable, or no such file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => {
                let suites = serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
                Ok(Ratchet { suites })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ratchet::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Not writable.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.suites)? + "\n";
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// The cases that should hold and don't, as `suite: case: why`. A case that the corpus lacks is none of them.
    pub fn lost(&self, suites: &[Suite]) -> Vec<String> {
        let mut lost = Vec::new();
        for suite in suites {
            let Some(kept) = self.suites.get(&suite.name) else { continue };
            for (name, verdict) in &suite.results {
                if let Err(why) = verdict
                    && kept.contains(name)
                {
                    lost.push(format!("{}: {name}: {why}", suite.name));
                }
            }
        }
        lost
    }

    /// Takes over what holds in these suites.
    pub fn update(&mut self, suites: &[Suite]) {
        for suite in suites.iter().filter(|suite| suite.served) {
            let held = suite.results.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(name, _)| name.clone());
            self.suites.insert(suite.name.clone(), held.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(results: &[(&str, bool)]) -> Vec<Suite> {
        let verdict = |holds: &bool| if *holds { Ok(None) } else { Err("why".to_owned()) };
        let results = results.iter().map(|(name, holds)| ((*name).to_owned(), verdict(holds))).collect();
        vec![Suite { name: "s".to_owned(), served: true, results }]
    }

    #[test]
    fn a_case_that_stops_holding_is_lost() {
        let mut ratchet = Ratchet::default();
        ratchet.update(&suite(&[("a", true), ("b", false)]));
        assert_eq!(ratchet.lost(&suite(&[("a", true), ("b", false)])), Vec::<String>::new());
        assert_eq!(ratchet.lost(&suite(&[("a", false), ("b", true)])), ["s: a: why"]);
    }
}
