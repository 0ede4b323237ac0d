//! The behaviour suite that every driver runs.
