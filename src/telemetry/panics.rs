//! What is printed of a panic.

use std::{
    io::{self, Write},
    panic::{set_hook, take_hook},
};

use crate::enclave::is_inside;

/// Prints only where a panic happened while it happens in secret memory: its
/// message may quote what is there, and a backtrace, which `RUST_BACKTRACE` asks
/// for, would need more heap than a section has. Elsewhere panics are printed as
/// always.
pub fn install() {
    let everywhere_else = take_hook();
    set_hook(Box::new(move |panic| {
        if !is_inside() {
            return everywhere_else(panic);
        }
        // On the stack: what is allocated here would lie on the section's heap.
        let mut line = [0; 256];
        let mut rest = line.as_mut_slice();
        let _ = match panic.location() {
            Some(location) => writeln!(rest, "panicked in secret memory at {location}"),
            None => writeln!(rest, "panicked in secret memory"),
        };
        let length = 256 - rest.len();
        let _ = io::stderr().write_all(line.get(..length).unwrap_or_default());
    }));
}
