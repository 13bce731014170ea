//! The server under full hardening: everything that it does for weeks, it still
//! does; and everything else it cannot do any more.

mod child;
mod confined;
mod kernels;
pub mod projected;
mod reach;
pub mod serving;
