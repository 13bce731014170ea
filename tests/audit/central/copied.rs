//! What is copied of a log, without a server.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use countersign::{
    audit::{
        Audit, Place, Rotation, Settings, Writing,
        record::{Decision, Ended, Outcome, Request, Start},
        segment::SegmentFile,
        verify::{Change, verify},
    },
    central::{Copier, Failed, Table},
    store::postgres,
    telemetry::Metrics,
};
use tempfile::TempDir;

use super::{assert_same, fetch, instance, lines, rows, table, verified};
use crate::support::postgres::{Database, PostgresServer};

/// A log whose files have few records each.
fn open(directory: &Path) -> (Audit, Writing) {
    open_with(directory, false)
}

/// The same, with closed files compressed: by whom, nobody waits for.
fn open_with(directory: &Path, compress: bool) -> (Audit, Writing) {
    let settings = Settings {
        directory: directory.to_owned(),
        place: Place::Anywhere,
        rotation: Rotation { size: 2_000, age: Duration::from_secs(3600) },
        checkpoints: Duration::from_secs(3600),
        compress,
        keep: None,
        webhook: None,
    };
    Audit::open(&settings, Start::default(), Metrics::new()).unwrap()
}

async fn record(audit: &Audit, caller: &str, count: usize) {
    for id in 0..count {
        let request = Request {
            request_id: format!("{caller}-{id}"),
            caller: caller.to_owned(),
            action: "Sign".to_owned(),
            share: Some("0b6f2d6e-6d8a-4f0e-9a53-3f1c0a7d5e21".to_owned()),
            wallet: Some("treasury".to_owned()),
            decision: Decision::Permitted,
            ..Request::default()
        };
        let ended = Ended::with(Outcome::Done);
        audit.record(request, ended, Instant::now()).durable().await.unwrap();
    }
}

fn begin(settings: &postgres::Settings, audit: &Audit, directory: &Path) -> Copier {
    Copier::new(Table::new(settings).unwrap(), audit.instance(), directory)
}

async fn copy(copier: &mut Copier, audit: &Audit) -> Result<(), Failed> {
    while copier.step(audit.durable()).await? {}
    Ok(())
}

/// Its files are one in the table, with the same root; texts are what they are.
#[tokio::test]
async fn many_files_are_one_in_the_table() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let directory = TempDir::new().unwrap();
    let (audit, writing) = open_with(directory.path(), true);
    let mut copier = begin(&database.serving(), &audit, directory.path());
    record(&audit, "before", 10).await;
    copy(&mut copier, &audit).await.unwrap();
    assert_eq!(copier.next(), audit.durable());
    record(&audit, "\u{0}\t\"\\u0000 \\N \u{2028}ä'", 3).await;
    // More than a group.
    record(&audit, "after", 600).await;
    copy(&mut copier, &audit).await.unwrap();
    let log = audit.instance();
    writing.stop();
    let all = lines(directory.path());
    let copied = rows(&admin, log).await;
    assert_same(&copied, &all);
    // The end says that it stopped, in a new file perhaps.
    assert!(matches!(all.len() - copied.len(), 1 | 2), "{} of {}", copied.len(), all.len());
    assert!(SegmentFile::all(directory.path()).unwrap().len() > 50);

    let (audit, writing) = open_with(directory.path(), true);
    let mut copier = begin(&database.serving(), &audit, directory.path());
    copy(&mut copier, &audit).await.unwrap();
    let (intact, said, report) = verified(&database, log);
    assert!(intact, "{said}");
    assert_eq!(report, verify(directory.path(), &[], |_| ()).unwrap());
    writing.stop();

    let query =
        "SELECT count(*), count(DISTINCT share), max(time) <= now(), min(request), max(action)
                 FROM countersign_audit_records
                 WHERE caller = 'after' AND outcome = 'done' AND event = 'request'
                 AND wallet = 'treasury' AND request = seq AND time > now() - interval '1 hour'";
    let row = admin.query_one(query, &[]).await.unwrap();
    let found: (i64, i64, bool, i64, &str) =
        (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
    assert!(matches!(found, (600, 1, true, 15.., "Sign")), "{found:?}");
}

/// What somebody else wrote under the log's name stops it; nothing is overwritten, and
/// whoever reads the table finds it.
#[tokio::test]
async fn what_another_wrote_is_told() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let directory = TempDir::new().unwrap();
    let (audit, _writing) = open(directory.path());
    let log = audit.instance();
    let next = || i64::try_from(audit.durable()).unwrap();
    let insert = "INSERT INTO countersign_audit_records (log, seq, line)
                  SELECT log, $2, line FROM countersign_audit_records WHERE log = $1 AND seq = 1";
    let remove = "DELETE FROM countersign_audit_records WHERE log = $1 AND seq >= $2";
    let mut copier = begin(&database.serving(), &audit, directory.path());
    record(&audit, "app", 5).await;
    copy(&mut copier, &audit).await.unwrap();

    // The next one, while it is copied from here: then it is the log's turn, or is far away.
    for ahead in [0, 100] {
        let at = next() + ahead;
        let before = rows(&admin, log).await.len();
        admin.execute(insert, &[&log, &at]).await.unwrap();
        record(&audit, "app", 3).await;
        let copied = copy(&mut copier, &audit).await;
        if ahead == 0 {
            assert!(matches!(copied, Err(Failed::Conflict { .. })), "{copied:?}");
            assert_eq!((rows(&admin, log).await.len(), copier.next()), (before + 1, 0));
        }
        // One that begins sees it in any case.
        let mut begun = begin(&database.serving(), &audit, directory.path());
        for _ in 0..2 {
            let copied = copy(&mut begun, &audit).await;
            let Err(Failed::Conflict { seq }) = copied else { panic!("{copied:?}") };
            assert_eq!(i64::try_from(seq).unwrap(), at);
        }
        let (intact, said, _) = verified(&database, log);
        assert!(!intact, "{said}");
        // Taken away, it goes on by itself.
        admin.execute(remove, &[&log, &at]).await.unwrap();
        for copier in [&mut copier, &mut begun] {
            copy(copier, &audit).await.unwrap();
        }
        assert_same(&rows(&admin, log).await, &lines(directory.path()));
        assert!(verified(&database, log).0);
    }

    // A server that lost its last rows took over.
    admin.execute(remove, &[&log, &(next() - 4)]).await.unwrap();
    record(&audit, "app", 1).await;
    copy(&mut copier, &audit).await.unwrap();
    assert_eq!(rows(&admin, log).await.len(), lines(directory.path()).len());
    assert!(verified(&database, log).0);

    // The log is older than its table, as one from a backup is.
    let older = TempDir::new().unwrap();
    for segment in SegmentFile::all(directory.path()).unwrap().into_iter().take(2) {
        fs::copy(&segment.path, older.path().join(segment.path.file_name().unwrap())).unwrap();
    }
    let (restored, _writing) = open(older.path());
    assert_eq!(restored.instance(), log);
    let mut copier = begin(&database.serving(), &restored, older.path());
    for count in [0, 30] {
        record(&restored, "other", count).await;
        let copied = copy(&mut copier, &restored).await;
        assert!(matches!(copied, Err(Failed::Conflict { .. })), "{copied:?}");
    }

    // Whoever may change rows changes one.
    let change = "UPDATE countersign_audit_records SET line = replace(line, 'treasury', 'tresaury')
                  WHERE log = $1 AND seq = 4";
    assert_eq!(admin.execute(change, &[&log]).await.unwrap(), 1);
    let (intact, said, _) = verified(&database, log);
    assert!(!intact && said.contains("record 4 was edited"), "{said}");
}

/// Files that were removed before there was a table, and while there was none for a while.
#[tokio::test]
async fn what_is_gone_is_not_waited_for() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let directory = TempDir::new().unwrap();
    let (audit, _writing) = open(directory.path());
    let log = audit.instance();
    let mut expected = Vec::new();
    for round in 0..2 {
        record(&audit, "app", 30).await;
        let all = SegmentFile::all(directory.path()).unwrap();
        let (gone, kept) = all.split_at(all.len() - 3);
        gone.iter().for_each(|segment| fs::remove_file(&segment.path).unwrap());
        let first = i64::try_from(kept[0].first).unwrap();
        let mut copier = begin(&database.serving(), &audit, directory.path());
        copy(&mut copier, &audit).await.unwrap();
        expected.extend((first..).zip(lines(directory.path())));
        assert_eq!(rows(&admin, log).await, expected, "{round}");
    }
    let fetched = fetch(&database, log);
    let report = verify(fetched.path(), &[], |_| ()).unwrap();
    assert_eq!(report.findings.len(), 2, "{report:?}");
    assert_eq!(i64::try_from(report.first).unwrap(), expected[0].0);
}

/// Whoever owns the table removes what is old, as the documentation has it.
#[tokio::test]
async fn old_rows_may_go() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let directory = TempDir::new().unwrap();
    let (audit, _writing) = open(directory.path());
    let log = audit.instance();
    let mut copier = begin(&database.serving(), &audit, directory.path());
    record(&audit, "app", 30).await;
    copy(&mut copier, &audit).await.unwrap();
    let remove = "DELETE FROM countersign_audit_records AS old
        USING (SELECT log, max(seq) AS seq FROM countersign_audit_records
               WHERE event = 'segment' AND time < now() - interval '0 days' GROUP BY log) AS head
        WHERE old.log = head.log AND old.seq < head.seq";
    assert!(admin.execute(remove, &[]).await.unwrap() > 20);
    record(&audit, "app", 5).await;
    for mut copier in [copier, begin(&database.serving(), &audit, directory.path())] {
        copy(&mut copier, &audit).await.unwrap();
    }
    let rows = rows(&admin, log).await;
    let first = usize::try_from(rows[0].0).unwrap();
    let kept: Vec<_> = lines(directory.path()).into_iter().enumerate().skip(first).collect();
    assert!(
        rows.into_iter()
            .eq(kept.into_iter().map(|(seq, line)| (i64::try_from(seq).unwrap(), line)))
    );
    let report = verified(&database, log).2;
    let [finding] = &*report.findings else { panic!("{report:?}") };
    assert_eq!(finding.change, Change::Removed { from: 0, to: u64::try_from(first).unwrap() });
    assert_eq!(report.root, verify(directory.path(), &[], |_| ()).unwrap().root);
}

/// Many at once, as sidecars are, and two of one log, which cannot be: each record once.
#[tokio::test(flavor = "multi_thread")]
async fn many_logs_share_a_table() {
    let Some(server) = PostgresServer::shared() else { return };
    let database: Database<'_> = server.database().await;
    let admin = table(&database).await;
    let logs: Vec<_> = (0..4).map(|_| TempDir::new().unwrap()).collect();
    let copying = logs.iter().map(|directory| {
        let settings = database.serving();
        async move {
            let (audit, writing) = open(directory.path());
            let two = || begin(&settings, &audit, directory.path());
            let (mut one, mut other) = (two(), two());
            for _ in 0..5 {
                record(&audit, "app", 20).await;
                // Whoever comes second learns it, and finds his place anew.
                let _ = tokio::join!(copy(&mut one, &audit), copy(&mut other, &audit));
            }
            copy(&mut one, &audit).await.unwrap();
            copy(&mut other, &audit).await.unwrap();
            writing.stop();
        }
    });
    futures_util::future::join_all(copying).await;
    for directory in &logs {
        let log = instance(directory.path());
        assert_same(&rows(&admin, log).await, &lines(directory.path()));
        assert!(verified(&database, log).0);
    }
}
