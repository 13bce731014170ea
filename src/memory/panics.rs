//! What is printed of a panic.

use std::{
    io::{self, Write},
    panic::{set_hook, take_hook},
    sync::Once,
};

use crate::enclave::is_inside;

/// Sees to it that of a panic in secret memory only the place is printed: its
/// message may quote what is there, and a backtrace, which `RUST_BACKTRACE` asks
/// for, takes more heap than a room has. Elsewhere panics are printed as before.
pub fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let elsewhere = take_hook();
        set_hook(Box::new(move |panic| {
            if !is_inside() {
                return elsewhere(panic);
            }
            // On the stack: what is allocated here would lie on the room's heap.
            let mut line = [0; 256];
            let mut rest = line.as_mut_slice();
            let _ = match panic.location() {
                Some(location) => writeln!(rest, "panicked in secret memory at {location}"),
                None => writeln!(rest, "panicked in secret memory"),
            };
            let length = 256 - rest.len();
            let _ = io::stderr().write_all(line.get(..length).unwrap_or_default());
        }));
    });
}
