//! Vault Transit: rights, logins, faults and what must not leak.

mod faults;
mod logins;
mod network;
mod rights;
mod secrecy;
