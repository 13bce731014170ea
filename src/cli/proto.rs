//! `countersign proto`.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use crate::proto::FILE_DESCRIPTOR_SET;

/// Write the contract as a file descriptor set, for grpcurl and buf
///
/// For example: countersign proto > countersign.binpb, then
/// grpcurl -protoset countersign.binpb -plaintext -unix enclave.sock list
#[derive(clap::Args)]
pub struct Proto {}

impl Proto {
    pub fn run(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(Failure::new(
                "this is binary: redirect it into a file, such as countersign.binpb",
            ));
        }
        out.write_all(FILE_DESCRIPTOR_SET)?;
        // The details of errors. Two encoded sets, one after the other, are one
        // set: its only field is repeated.
        out.write_all(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
        Ok(())
    }
}
