//! What the end-to-end tests share: a host of their own, with an agent on it; and the cases of a corpus.

pub mod conformance;
pub mod demo;
pub mod host;
