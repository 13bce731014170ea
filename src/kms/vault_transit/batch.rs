//! Batches of `rewrap`: many items in a request, and of each what became of it.
//!
//! Vault answers 200 whatever became of the items. So every item's error is looked at,
//! and an answer with more or fewer items than there were is none.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    BATCH_MAX, BoundDek, KmsError, KmsErrorKind,
    answer::{Answer, refused_item},
    transit,
};
use crate::envelope::WrappedDek;

/// What is to be sent, and what is not because it is not of Vault's form.
pub(super) struct Batch {
    items: Vec<Result<String, KmsError>>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow)]
    batch_results: Vec<Item<'a>>,
}

/// Of an item either is there. An error may have escapes, which cannot be borrowed.
#[derive(Deserialize)]
struct Item<'a> {
    ciphertext: Option<&'a str>,
    error: Option<String>,
}

impl Batch {
    /// # Errors
    /// They are too many.
    pub(super) fn of(deks: &[BoundDek]) -> Result<Self, KmsError> {
        if deks.len() > BATCH_MAX {
            let detail = format!("a batch has at most {BATCH_MAX} items");
            return Err(KmsError::new(KmsErrorKind::Protocol, detail));
        }
        let items = deks.iter().map(|dek| transit::item(&dek.context, &dek.wrapped));
        Ok(Self { items: items.collect() })
    }

    /// `{"batch_input":[…]}`; none where nothing is to be sent.
    pub(super) fn body(&self) -> Option<Bytes> {
        let items: Vec<_> = self.items.iter().flatten().map(String::as_str).collect();
        (!items.is_empty()).then(|| format!(r#"{{"batch_input":[{}]}}"#, items.join(",")).into())
    }

    /// What became of all, when it is known of those that were sent.
    pub(super) fn join(
        self,
        sent: Vec<Result<WrappedDek, KmsError>>,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        let expected = self.items.iter().flatten().count();
        if sent.len() != expected {
            let detail = format!("rewrap: {} answers to {expected} items", sent.len());
            return Err(KmsError::new(KmsErrorKind::Protocol, detail));
        }
        let mut sent = sent.into_iter();
        let missing = || Err(KmsError::new(KmsErrorKind::Protocol, "rewrap: no answer"));
        let all = self.items.into_iter().map(|item| match item {
            Ok(_) => sent.next().unwrap_or_else(missing),
            Err(error) => Err(error),
        });
        Ok(all.collect())
    }
}

/// Reads the answer to a batch.
pub(super) fn rewrapped(answer: &Answer) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
    let Results { batch_results } = transit::data(answer)?;
    let results = batch_results.into_iter().map(|item| match item {
        Item { error: Some(error), .. } if !error.is_empty() => {
            Err(refused_item(answer.operation, error))
        }
        Item { ciphertext: Some(ciphertext), .. } => transit::wrapped(answer, ciphertext),
        Item { ciphertext: None, .. } => Err(transit::senseless(answer, "holds no ciphertext")),
    });
    Ok(results.collect())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::envelope::{Identity, KekContext};

    fn answer(body: &str) -> Answer {
        Answer {
            operation: "rewrap",
            status: http::StatusCode::OK,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn dek(wrapped: &[u8]) -> BoundDek {
        let identity = Identity {
            environment: "test".parse().unwrap(),
            wallet: "wallet".parse().unwrap(),
            share: crate::key::ShareId::random(),
            version: crate::key::RecordVersion::FIRST,
            address: None,
            algorithm: crate::key::Algorithm::Ed25519,
            binding: crate::key::Binding::Derived,
        };
        BoundDek { context: KekContext::of(&identity), wrapped: WrappedDek::new(wrapped).unwrap() }
    }

    #[test]
    fn every_item_is_looked_at() {
        let body = r#"{"request_id":"x","data":{"batch_results":[
            {"ciphertext":"vault:v2:AAAA","key_version":2},
            {"error":"cipher: message \"authentication\" failed"},
            {"error":"ciphertext or signature version is disallowed by policy (too old)"},
            {"key_version":2}]}}"#;
        let results = rewrapped(&answer(body)).unwrap();
        let kinds: Vec<_> = results.iter().map(|item| item.as_ref().map_err(|e| e.kind)).collect();
        assert_eq!(kinds[0].unwrap().as_bytes(), b"vault:v2:AAAA");
        assert_eq!(kinds[1], Err(KmsErrorKind::Rejected));
        assert_eq!(kinds[2], Err(KmsErrorKind::KeyVersion));
        assert_eq!(kinds[3], Err(KmsErrorKind::Protocol));
        assert!(results.iter().flatten().count() == 1);
        let told = format!("{results:?}");
        assert!(!told.contains("authentication"), "{told}");
    }

    #[test]
    fn what_is_not_sent_keeps_its_place() {
        let batch = Batch::of(&[dek(b"local:v1:AAAA"), dek(b"vault:v1:AAAA")]).unwrap();
        let body = String::from_utf8(batch.body().unwrap().to_vec()).unwrap();
        assert_eq!(body.matches("ciphertext").count(), 1);
        let new = WrappedDek::new(*b"vault:v2:AAAA").unwrap();
        let joined = batch.join(vec![Ok(new.clone())]).unwrap();
        assert_eq!(joined[0].as_ref().unwrap_err().kind, KmsErrorKind::Rejected);
        assert_eq!(joined[1], Ok(new));
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        let batch = |n| Batch::of(&vec![dek(b"vault:v1:AAAA"); n]);
        let new = || Ok(WrappedDek::new(*b"vault:v2:AAAA").unwrap());
        assert_eq!(batch(2).unwrap().join(vec![new()]).unwrap_err().kind, KmsErrorKind::Protocol);
        assert!(batch(1).unwrap().join(vec![new(), new()]).is_err());
        assert!(batch(BATCH_MAX).is_ok() && batch(BATCH_MAX + 1).is_err());
        assert!(Batch::of(&[]).unwrap().body().is_none());
    }
}
