//! Who imports from outside: a real server, and a directory with the key that is trusted.

use std::fs;

use countersign::audit::{
    reader::{Found, Reader},
    record::Event,
};

use crate::support::served::{Home, Served};

/// Who imports: a directory of its own, and the key of the instance that it trusts.
pub struct Importer {
    pub served: Served,
    pub directory: tempfile::TempDir,
}

impl Importer {
    pub async fn start() -> Self {
        let home = Home::embedded();
        let serve = home.serve();
        let served = home.start(serve).await;
        let directory = tempfile::tempdir().unwrap();
        // Ready does not wait for it.
        served.until("its key is in its log", |served| key(served).is_some()).await;
        fs::write(directory.path().join("trust"), key(&served).unwrap()).unwrap();
        Self { served, directory }
    }

    /// Of a file in its directory.
    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Where custody is.
    pub fn socket(&self) -> String {
        self.served.home.path("run/custody.sock").to_str().unwrap().to_owned()
    }
}

/// The key of an instance, as its log has it.
pub fn key(served: &Served) -> Option<String> {
    let mut reader = Reader::new(&served.home.path("audit"));
    while let Some(found) = reader.advance().unwrap() {
        if let Found::Record(record) = found
            && let Event::Identity { key, kept, .. } = record.event
        {
            assert!(kept);
            return Some(key);
        }
    }
    None
}
