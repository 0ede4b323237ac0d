//! Ostler's agent: the reconcilers, what feeds them and what they report to. The binary only wires them.
//!
//! The reconcilers know nothing of where objects come from: a [`source::Source`] tells of objects, a [`source::Sink`] takes
//! their status. A directory of manifests is one such pair.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod admission;
pub mod agent;
pub mod allow;
pub mod checks;
pub mod context;
pub mod controller;
pub mod engine;
pub mod follow;
pub mod given_up;
pub mod journal;
pub mod metrics;
pub mod names;
pub mod plan;
pub mod reconcile;
pub mod references;
pub mod secrets;
pub mod source;
