//! Compiles `proto/` with protox, so that no `protoc` is needed, and leaves the
//! file descriptor set (with comments) beside the generated code: it is what
//! `countersign proto` prints and what the contract test walks.

use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = [
        "countersign/v1/share.proto",
        "countersign/v1/enclave.proto",
        "countersign/v1/custody.proto",
    ];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(protos, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("countersign.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
