//! The main job on a real cluster of two nodes: charts as a user installs them, the demo's manifests as they are, real guests.
//!
//! Tests share two clusters, one test at a time in each, each with a namespace of its own.

mod admission;
mod backup;
mod definitions;
mod demo;
mod drain;
mod fence;
mod kills;
mod lab;
mod leader;
mod lost;
mod outlive;
mod placement;
mod power;
mod rights;
mod runtime;
