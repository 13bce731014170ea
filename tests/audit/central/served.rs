//! Sidecars that copy their logs, confined as they are where they serve.

use std::{
    fs,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use countersign::{client, store::postgres::Settings};
use tokio::{task::JoinSet, time::sleep};
use tokio_postgres::Client;

use super::{GRANTS, assert_same, instance, lines, rows, table, verified};
use crate::hardened::serving::assert_confined;
use crate::support::{
    pki::Authority,
    postgres::PostgresServer,
    served::{Home, LOCAL, Served, binary, database, postgres},
};

const NOT_COPIED: &str = "Records are not copied";
/// How often the server is killed.
const KILLS: u64 = 15;

fn home(settings: &Settings) -> Home {
    let home = Home::embedded();
    copy_to(&home, settings);
    home
}

fn copy_to(home: &Home, settings: &Settings) {
    home.add(&format!("[audit.postgres]\n{}", database(settings)));
}

async fn start(home: Home) -> Served {
    let command = home.serve();
    home.start(command).await
}

async fn assert_copied(served: &Served, admin: &Client) {
    let (audit, log) = (served.home.path("audit"), instance(&served.home.path("audit")));
    served.until("all is copied", |served| served.metric("audit_uncopied") == Some(0)).await;
    for _ in 0..200 {
        let (rows, lines) = (rows(admin, log).await, lines(&audit));
        assert_same(&rows, &lines);
        if rows.len() == lines.len() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", served.home.log());
}

fn check(home: &Home, online: bool) -> (Output, String) {
    let mut command = Command::new(binary());
    command.args(["check", "--config"]).arg(home.config());
    if online {
        command.arg("--online");
    }
    let output = command.output().unwrap();
    let said = [&*output.stdout, &*output.stderr].concat();
    (output, String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sidecars_share_a_table() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let one = home(&database.serving());
    // Whose shares are in the same database.
    let settings = database.settings();
    let other = Home::new("test", LOCAL, &postgres(&settings));
    copy_to(&other, &settings);
    let (one, other) = tokio::join!(start(one), start(other));
    for served in [&one, &other] {
        assert_confined(served);
        let share = served.generate().await;
        for _ in 0..10 {
            served.sign(&share).await.unwrap();
        }
    }
    assert_copied(&one, &admin).await;
    assert_copied(&other, &admin).await;
    let rights = "SELECT DISTINCT privilege_type::text FROM information_schema.role_table_grants
                  WHERE grantee = 'serve' AND table_name = 'countersign_audit_records' ORDER BY 1";
    let rights = admin.query(rights, &[]).await.unwrap();
    let rights: Vec<&str> = rights.iter().map(|row| row.get(0)).collect();
    assert_eq!(rights, ["INSERT", "SELECT"]);
    for served in [one, other] {
        assert!(!served.home.log().contains(NOT_COPIED), "{}", served.home.log());
        let share = served.generate().await;
        served.sign(&share).await.unwrap();
        let home = served.stop_keeping();
        assert!(!home.log().contains("correct horse"));
        // Stopped in order, but for what the end itself adds.
        let (audit, log) = (home.path("audit"), instance(&home.path("audit")));
        let missing = lines(&audit).len() - rows(&admin, log).await.len();
        assert!(missing <= 3, "{missing}");
        let (intact, said, _) = verified(&database, log);
        assert!(intact, "{said}");
    }
}

/// SIGKILL at any moment, under load.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sidecar_copies_every_record_once() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = table(&database).await;
    let mut home = home(&database.serving());
    let mut copied = 0;
    for round in 0..KILLS {
        let served = start(home).await;
        let share = Arc::new(served.generate().await);
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let (socket, share) = (served.socket(), Arc::clone(&share));
            clients.spawn(async move {
                let Ok(mut enclave) = client::enclave(&socket).await else { return };
                while enclave.sign(share.sign_request(b"message")).await.is_ok() {}
            });
        }
        // Before, in and behind the copying of a second's records.
        sleep(Duration::from_micros(300_000 + round * 79_190 % 1_500_000)).await;
        home = served.kill();
        clients.join_all().await;
        let audit = home.path("audit");
        let rows = rows(&admin, instance(&audit)).await;
        assert_same(&rows, &lines(&audit));
        copied = copied.max(rows.len());
    }
    assert!(copied > 1000, "{copied}");
    let served = start(home).await;
    assert_copied(&served, &admin).await;
    served.stop();
}

/// Nobody waits for the database, from the start on; it is caught up with by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_caught_up_with() {
    let Some(server) = PostgresServer::dedicated() else { return };
    let database = server.database().await;
    let home = home(&database.settings());
    server.stop();
    let served = start(home).await;
    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    let told = |served: &Served| served.home.log().matches(NOT_COPIED).count();
    served.until("it is told", |served| told(served) == 1).await;
    let waiting = |served: &Served| served.metric("audit_uncopied") > Some(3);
    served.until("records wait", waiting).await;
    // It is tried again, and told no more.
    sleep(Duration::from_secs(4)).await;
    assert_eq!(told(&served), 1, "{}", served.home.log());

    server.restart();
    // The role may make the table.
    served.until("it goes on", |served| served.home.log().contains("copied again")).await;
    assert_copied(&served, &database.admin().await).await;
    for _ in 0..2 {
        server.stop();
        for _ in 0..5 {
            served.sign(&share).await.unwrap();
        }
        served.until("records wait", waiting).await;
        server.restart();
        assert_copied(&served, &database.admin().await).await;
    }
    // The end does not wait for it either.
    server.stop();
    served.sign(&share).await.unwrap();
    let began = std::time::Instant::now();
    let home = served.stop_keeping();
    assert!(began.elapsed() < Duration::from_secs(10));
    fs::remove_file(home.path("log")).unwrap();
    server.restart();
    let served = start(home).await;
    assert_copied(&served, &database.admin().await).await;
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_what_it_lacks() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database().await;
    let admin = database.admin().await;
    // As it is by itself since Postgres 15.
    admin.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let home = home(&database.serving());
    let (output, said) = check(&home, true);
    let make = "`countersign check --online` once with a role that may create tables";
    assert!(!output.status.success() && said.contains("audit.postgres: Schema: "), "{said}");
    assert!(said.contains(make), "{said}");

    let served = start(home).await;
    let share = served.generate().await;
    served.until("it is told", |served| served.home.log().contains(make)).await;
    served.sign(&share).await.unwrap();
    let _ = table(&database).await;
    admin.batch_execute("REVOKE INSERT ON countersign_audit_records FROM serve").await.unwrap();
    let denied = "Denied: permission denied for table countersign_audit_records";
    served.until("it is told", |served| served.home.log().contains(denied)).await;
    let (output, said) = check(&served.home, true);
    assert!(!output.status.success() && said.contains(denied), "{said}");
    served.sign(&share).await.unwrap();

    admin.batch_execute(GRANTS).await.unwrap();
    assert_copied(&served, &admin).await;
    let (output, said) = check(&served.home, true);
    assert!(output.status.success() && said.contains("audit table    answers"), "{said}");
    served.stop();
}

/// Files that are not there are found before anything is started.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_cannot_be_read_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    Authority::new().write_certificate(directory.path());
    let settings = |ca_file: &str| Settings {
        host: "localhost".to_owned(),
        port: 1,
        database: "none".to_owned(),
        user: "nobody".to_owned(),
        password_file: directory.path().join("password"),
        ca_file: directory.path().join(ca_file),
        pool_size: 1,
        connect_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
    };
    let wrong = home(&settings("missing.pem"));
    fs::write(wrong.path("config/policies/test.cedar"), "permit").unwrap();
    let (output, said) = check(&wrong, false);
    assert_eq!(output.status.code(), Some(78), "{said}");
    // With all that is wrong besides.
    assert!(said.contains("audit.postgres: ") && said.contains("missing.pem"), "{said}");
    assert!(said.contains("test.cedar"), "{said}");

    let wrong = home(&settings("missing.pem"));
    let output = wrong.output(wrong.serve());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("audit.postgres: "), "{said}");
    // Its password may come later.
    let (output, said) = check(&home(&settings("ca.pem")), false);
    assert!(output.status.success(), "{said}");
}
