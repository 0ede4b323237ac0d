//! What the driver makes of a definition without a host: all that it depends on is handed in.

pub mod command_line;
