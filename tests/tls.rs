//! Callers over TLS: who they are, who is refused, and how certificates rotate.

mod clients;
mod config;
mod custody;
mod handshake;
mod identity;
mod instance;
mod person;
mod rotation;
mod serving;
