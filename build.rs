//! Compiles `proto/` with protox, so that no `protoc` is needed, and leaves the
//! file descriptor set (with comments) beside the generated code: it is what
//! `countersign proto` prints and what the contract test walks.

use std::{collections::BTreeSet, env, fmt::Write, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

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
    fs::write(out.join("fields.rs"), fields(&descriptors)?)?;
    let codec = "crate::grpc::codec::ContractCodec";
    tonic_prost_build::configure().bytes(".").codec_path(codec).compile_fds(descriptors)?;
    Ok(())
}

/// What `src/grpc/codec.rs` has to know of each message that a call takes or gives: the
/// numbers of its fields where it is a request of custody, which has no others.
fn fields(set: &FileDescriptorSet) -> Result<String, std::fmt::Error> {
    let services = set.file.iter().flat_map(|file| &file.service);
    let (mut strict, mut all) = (BTreeSet::new(), BTreeSet::new());
    for service in services {
        for method in &service.method {
            all.extend([method.input_type(), method.output_type()]);
            if service.name() == "ShareCustody" {
                strict.insert(method.input_type());
            }
        }
    }
    let mut code = String::new();
    for message in set.file.iter().flat_map(|file| &file.message_type) {
        let name = message.name();
        let full = format!(".countersign.v1.{name}");
        if !all.contains(&*full) {
            continue;
        }
        let numbers: Vec<_> = message.field.iter().map(|field| field.number()).collect();
        let fields = match strict.contains(&*full) {
            true => format!("Some(&{numbers:?})"),
            false => "None".to_owned(),
        };
        writeln!(
            code,
            "impl crate::grpc::codec::OfContract for {name} {{ const FIELDS: Option<&'static [u32]> = \
             {fields}; }}"
        )?;
    }
    Ok(code)
}
