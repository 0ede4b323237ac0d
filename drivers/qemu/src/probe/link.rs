//! Questions to an emulator, and its answers.

use std::io;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// An emulator that is asked: a process, or a recorded conversation.
pub trait Link {
    /// Sends a line and waits for the line that answers it.
    ///
    /// # Errors
    /// The emulator is gone, or silent for too long; a recorded one was asked something else.
    fn exchange(&mut self, question: &str) -> io::Result<String>;
}

/// Why an emulator's abilities could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be spoken to.
    #[error("ask '{command}'")]
    Exchange {
        /// What was asked.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An answer of another form.
    #[error("read the answer to '{command}'")]
    Answer {
        /// What was asked.
        command: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It refused what every QEMU that we take answers.
    #[error("it refused '{command}': {reason}")]
    Refused {
        /// What was asked.
        command: String,
        /// In its words.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(rename = "return")]
    value: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

/// The asking side: it numbers its questions.
pub(super) struct Monitor<'a> {
    link: &'a mut dyn Link,
    asked: u32,
}

impl<'a> Monitor<'a> {
    pub(super) fn new(link: &'a mut dyn Link) -> Self {
        Monitor { link, asked: 0 }
    }

    /// The answer; the emulator's own words if it refused.
    fn exchange<T: DeserializeOwned>(
        &mut self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Result<T, String>, AskError> {
        self.asked += 1;
        let mut question = json!({ "execute": command });
        if let Some(arguments) = arguments {
            question["arguments"] = arguments;
        }
        question["id"] = self.asked.into();
        let text = self
            .link
            .exchange(&question.to_string())
            .map_err(|source| AskError::Exchange { command: command.to_owned(), source })?;
        let answer: Answer<T> =
            serde_json::from_str(&text).map_err(|source| AskError::Answer { command: command.to_owned(), source })?;
        match answer {
            Answer { value: Some(value), .. } => Ok(Ok(value)),
            Answer { error, .. } => Ok(Err(error.map(|error| error.desc).unwrap_or_default())),
        }
    }

    /// Asks what must be answered.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, command: &str) -> Result<T, AskError> {
        self.exchange(command, None)?.map_err(|reason| AskError::Refused { command: command.to_owned(), reason })
    }

    /// Asks what may be refused; then there is none.
    pub(super) fn try_ask<T: DeserializeOwned>(
        &mut self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Option<T>, AskError> {
        Ok(self.exchange(command, arguments)?.ok())
    }
}
