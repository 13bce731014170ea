//! `[audit]`: where the audit log is, and when a file of it has had enough.

use std::{path::PathBuf, time::Duration};

use super::document::Table;
use crate::audit::Rotation;

/// The audit log.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// The directory of this one instance.
    pub directory: PathBuf,
    /// When a new file is begun.
    pub rotation: Rotation,
}

const MIB: u64 = 1024 * 1024;
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(table: Table<'_>) -> Option<AuditConfig> {
    let directory = table.path("directory", "the directory of this instance's audit log");
    let size = table.number("file_mib", Some(64), 1..=1024);
    let age = table.duration("file_age", 24 * HOUR, HOUR / 60..=720 * HOUR);
    table.finish();
    let rotation = Rotation { size: u64::from(size?) * MIB, age: age? };
    Some(AuditConfig { directory: directory?, rotation })
}
