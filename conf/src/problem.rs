//! What is wrong with a document: where, what, and what would be right.

use std::fmt;

use ostler_util::ErrorCode;

/// A place in a text, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// libvirt's error number for it.
    pub code: ErrorCode,
    /// The element, as an XML path (`/domain/devices/disk[2]/target/@bus`) when reading XML, else as a field path of the
    /// YAML face (`devices.disks[vda].target.bus`).
    pub path: String,
    /// The place in the text, where there is one.
    pub position: Option<Position>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem without a place in a text.
    pub fn new(code: ErrorCode, path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { code, path: path.into(), position: None, message: message.into() }
    }

    /// The same with another code, unless the code says more than "this is wrong" already.
    pub fn with_code(self, code: ErrorCode) -> Self {
        if self.code == ErrorCode::XmlError { Problem { code, ..self } } else { self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for Problem {}

/// A document that was refused: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    problems: Vec<Problem>,
}

impl Invalid {
    /// `Err` if there is any problem.
    ///
    /// # Errors
    /// The problems.
    pub fn check(problems: Vec<Problem>) -> Result<(), Invalid> {
        if problems.is_empty() { Ok(()) } else { Err(Invalid { problems }) }
    }

    /// The first problem: its code stands for all.
    pub fn first(&self) -> &Problem {
        self.problems.first().expect("an Invalid is made of at least one problem")
    }

    /// All problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for Invalid {
    fn from(problem: Problem) -> Self {
        Invalid { problems: vec![problem] }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
