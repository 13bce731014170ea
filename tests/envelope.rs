//! The envelope against its published vectors (`tests/vectors/envelope.json`):
//! few that open and many that must not, each refused by exactly the stage and
//! with exactly the error that its vector names.

mod bench;
mod python;
mod vectors;

use std::{sync::Arc, time::Duration};

use countersign::{
    enclave::{DEK_LEN, Dek, Enclave, EnclaveError},
    envelope::{Envelope, KekContext},
    key::{AccountAddress, ShareState},
    kms::Kms,
    memory::{Budget, Level},
    permitted::{PermittedEnvelope, RecordError},
    policy::UseShare,
    record::{ShareDescription, ShareRecord},
    signature,
};

use bench::{Bench, Failed, SLOTS, payload, signing, soon};
use vectors::Positive;
pub use vectors::Vectors;

// === positive ===

#[test]
fn positive_vectors_have_the_published_layout() {
    for vector in &Vectors::read().positive {
        let name = &vector.name;
        let envelope = Envelope::decode(&vector.envelope).expect(name);
        assert_eq!(envelope.encode(), vector.envelope, "{name}");
        let header = envelope.header();
        assert_eq!(header.identity, vector.row.identity(), "{name}");
        assert_eq!(header.kek, vector.row.kek(), "{name}");
        assert_eq!(header.aad(), vector.aad, "{name}");
        assert_eq!(header.commitment.0[..], vector.commitment, "{name}");
        assert_eq!(header.nonce.0[..], vector.nonce, "{name}");
        assert_eq!(envelope.wrapped_dek().as_bytes(), vector.wrapped_dek, "{name}");
        let context = KekContext::of(&header.identity);
        assert_eq!(context.as_bytes(), vector.kek_context, "{name}");
        let prefix = KekContext::prefix(&header.identity.environment);
        assert!(prefix.len().is_multiple_of(3), "{name}");
        assert!(context.as_bytes().starts_with(prefix.as_bytes()), "{name}");
    }
}

#[test]
fn positive_vectors_open_and_sign() {
    let bench = Bench::new();
    for vector in &Vectors::read().positive {
        let name = &vector.name;
        let dek = bench.dek(&vector.dek);
        let description = vector.description();
        let signed = bench.sign(description.clone(), vector.envelope.clone(), dek);
        match &vector.enclave_refuses {
            Some(error) => match signed {
                Err(Failed::Enclave(found)) => assert_eq!(&format!("{found:?}"), error, "{name}"),
                other => panic!("{name}: {other:?}"),
            },
            None => {
                let signed = signed.expect(name);
                assert_eq!(signed.algorithm, description.identity.algorithm);
                assert_eq!(signed.version, description.identity.version);
                let signature = &signed.signature.bytes;
                signature::verify(&description.public_key, &payload(&description), signature)
                    .expect(name);
            }
        }
        bench.assert_nothing_held(name);
    }
}

/// A stream holds exactly one slot, signs frame by frame, and gives it back.
#[test]
fn positive_vectors_open_in_a_stream() {
    let bench = Bench::new();
    for vector in &Vectors::read().positive {
        let name = &vector.name;
        let description = vector.description();
        let permitted =
            bench.permitted(description.clone(), vector.envelope.clone(), UseShare).expect(name);
        let opened = bench.enclave.open(permitted, bench.dek(&vector.dek));
        match (&vector.enclave_refuses, opened) {
            (Some(error), Err(found)) => assert_eq!(&format!("{found:?}"), error, "{name}"),
            (None, Ok(open)) => {
                assert_eq!(bench.enclave.pool().free(), SLOTS - 1, "{name}");
                for _ in 0..2 {
                    let (caller, subject) = (open.permit().caller(), open.permit().subject());
                    let action = signing(&description);
                    let frame = bench.policy.authorize(caller, Arc::clone(subject), action);
                    let signed = open.sign(frame.ok().unwrap()).expect(name);
                    let signature = &signed.signature.bytes;
                    signature::verify(&description.public_key, &payload(&description), signature)
                        .expect(name);
                }
            }
            (expected, opened) => panic!("{name}: {expected:?}, {:?}", opened.err()),
        }
        bench.assert_nothing_held(name);
    }
}

/// Beyond the slot of a DEK a share is refused; in a slot that has room for it, the
/// same share gets as far as the signer, which knows none so long.
#[test]
fn a_share_that_fits_its_slot_opens() {
    let bench = Bench::new();
    let budget = Budget { slots: 0, large_slots: 1, sections: 1, threads: 0 };
    let large = Enclave::start(budget, Level::Mlock).unwrap();
    let too_long = |vector: &&Positive| vector.enclave_refuses.as_deref() == Some("TooLong");
    let vectors = Vectors::read();
    let vector = vectors.positive.iter().find(too_long).unwrap();
    let description = vector.description();
    let action = signing(&description);
    let permitted = bench.permitted(description, vector.envelope.clone(), action).ok().unwrap();
    let (ciphertext, _) = permitted.envelope().sealed().parts();
    let slot = large.reserve(ciphertext.len()).unwrap();
    let dek = Dek::unwrapped(slot, |dek| {
        dek.copy_from_slice(&vector.dek);
        Ok(())
    });
    let signed = large.sign(permitted, dek.unwrap());
    assert_eq!(signed.err(), Some(EnclaveError::Share));
    assert_eq!(large.pool().free(), 1);
}

/// The chains' own addresses, computed by the generator from the share.
#[test]
fn derived_addresses_are_the_chains() {
    for vector in &Vectors::read().positive {
        if ["ed25519", "ecdsa-secp256k1"].contains(&&*vector.name) {
            let address = AccountAddress::of(&vector.description().public_key);
            assert_eq!(address, vector.row.identity().address, "{}", vector.name);
        }
    }
}

#[tokio::test]
async fn the_local_kek_unwraps_its_vectors() {
    let bench = Bench::new();
    let kms = bench.local_kms();
    let before = bench.enclave.pool().free();
    let mut unwrapped = 0;
    for vector in &Vectors::read().positive {
        let description = vector.description();
        if description.kek != *kms.kek() {
            continue;
        }
        let name = &vector.name;
        let permitted = bench
            .permitted(description.clone(), vector.envelope.clone(), signing(&description))
            .expect(name);
        let slot = bench.enclave.reserve(DEK_LEN).unwrap();
        let dek = kms.unwrap(permitted.dek(), slot, soon()).await.expect(name).dek;
        dek.reveal(|bytes| crate::support::custody::same(bytes, &vector.dek)).expect(name);
        bench.enclave.sign(permitted, dek).expect(name);
        assert_eq!(bench.enclave.pool().free(), before, "{name}");
        unwrapped += 1;
    }
    assert!(unwrapped >= 8, "only {unwrapped} vectors are of a local KEK");
}

// === negative ===

#[tokio::test]
async fn negative_vectors_are_refused_where_they_say() {
    let bench = Bench::new();
    let kms = bench.local_kms();
    let held = SLOTS - bench.enclave.pool().free();
    let vectors = Vectors::read();
    let mut refused = 0;
    for vector in &vectors.negative {
        for (name, envelope) in vectors.envelopes(vector) {
            bench.refuse(&kms, vectors.base(vector), vector, &name, envelope).await;
            assert_eq!(SLOTS - bench.enclave.pool().free(), held, "{name}: slots");
            refused += 1;
        }
    }
    assert!(
        refused > 20 * vectors.positive.len(),
        "{refused} are few beside {} that open",
        vectors.positive.len()
    );
}

/// Whatever single bit of an envelope flips, it does not sign, save in the
/// wrapped DEK, which is not sealed and which the KMS checks.
#[test]
fn no_flipped_bit_opens() {
    let bench = Bench::new();
    let vectors = Vectors::read();
    let vector = vectors.positive("shortest-fields");
    let sealed = 32 + 16;
    let wrapped_dek = vector.envelope.len() - sealed - 4 - 1;
    for bit in 0..vector.envelope.len() * 8 {
        if bit / 8 == wrapped_dek {
            continue;
        }
        let mut envelope = vector.envelope.clone();
        envelope[bit / 8] ^= 1 << (bit % 8);
        let dek = bench.dek(&vector.dek);
        let signed = bench.sign(vector.description(), envelope, dek);
        // Of what is sealed nothing is looked at whose tag is wrong: another share would be
        // refused for its public key, too.
        let by_tag = matches!(signed, Err(Failed::Enclave(EnclaveError::Tag)));
        let is_sealed = bit / 8 >= vector.envelope.len() - sealed;
        assert!(if is_sealed { by_tag } else { signed.is_err() }, "bit {bit} may flip");
        bench.assert_nothing_held(&format!("bit {bit}"));
    }
}

// === an old row put back ===

/// The documented limit: nothing inside a row says that there is a newer one.
#[test]
fn an_old_row_put_back_whole_opens() {
    let bench = Bench::new();
    let vectors = Vectors::read();
    let old = vectors.positive(&vectors.rollback.old);
    let new = vectors.positive(&vectors.rollback.new);
    assert_eq!(old.row.identity().share, new.row.identity().share, "two versions of one share");
    let dek = bench.dek(&old.dek);
    let signed = bench.sign(old.description(), old.envelope.clone(), dek).unwrap();
    assert_eq!(signed.version, old.row.identity().version);
    // What a caller's minimum version is held against before anything opens.
    let minimum = vectors.rollback.minimum_version.try_into().unwrap();
    assert!(old.description().identity.version < minimum);
    assert!(new.description().identity.version >= minimum);
}

/// Only the whole row: an old envelope in the new row is another version's.
#[test]
fn an_old_envelope_in_the_new_row_does_not_open() {
    let bench = Bench::new();
    let vectors = Vectors::read();
    let old = vectors.positive(&vectors.rollback.old);
    let new = vectors.positive(&vectors.rollback.new);
    let row = new.description();
    let refused = bench.permitted(row.clone(), old.envelope.clone(), signing(&row));
    assert_eq!(refused.err(), Some(RecordError::Mismatch("record version")));
}

/// A row that is written between its description, on which policy decided, and
/// its fetching.
#[test]
fn a_row_that_changed_after_the_decision_is_refused() {
    let bench = Bench::new();
    let vectors = Vectors::read();
    let vector = vectors.positive("ed25519");
    let other = vectors.positive("ed25519-without-address");
    let changes: [fn(&mut ShareDescription, &ShareDescription); 5] = [
        |row, _| row.state = ShareState::Disabled,
        |row, _| row.created_at += Duration::from_micros(1),
        |row, other| row.public_key = other.public_key,
        |row, other| row.identity = other.identity.clone(),
        |row, _| row.identity.address = None,
    ];
    for change in changes {
        let mut description = vector.description();
        change(&mut description, &other.description());
        let permit = bench.permit(vector.description(), UseShare);
        let record = ShareRecord { description, envelope: vector.envelope.clone() };
        let refused = PermittedEnvelope::new(permit, record).err();
        assert_eq!(refused, Some(RecordError::Changed));
    }
}

/// A rewrapping in between is another revision, and nothing else that was decided on.
#[test]
fn a_row_that_was_rewrapped_after_the_decision_is_not() {
    let bench = Bench::new();
    let vectors = Vectors::read();
    let vector = vectors.positive("ed25519");
    let mut description = vector.description();
    description.revision = description.revision.next();
    let permit = bench.permit(vector.description(), UseShare);
    let record = ShareRecord { description, envelope: vector.envelope.clone() };
    assert!(PermittedEnvelope::new(permit, record).is_ok());
}
