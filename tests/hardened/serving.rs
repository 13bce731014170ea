//! What a server does for weeks, done in seconds, confined.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use countersign::kms::vault_transit::{Login, Role};
use reqwest::Method;
use serde_json::json;

use super::{kernels::confines, projected::Projected};
use crate::support::{
    jwt::Issuer,
    namespace::unshare,
    postgres::PostgresServer,
    served::{Home, SQLITE, Served, postgres, vault},
    vault::{Tenant, VaultServer},
};

/// Every thread of the server, those that started before the filter as well.
pub fn assert_confined(served: &Served) {
    if !confines() {
        return;
    }
    let log = served.home.log();
    let confined = log.lines().find(|line| line.contains("\"Confined\""));
    let confined = confined.expect("it says how far it is confined");
    assert!(confined.contains(r#""seccomp":"full""#), "{confined}");
    assert!(confined.contains(r#""landlock":"full""#), "{confined}");
    let threads = format!("/proc/{}/task", served.pid().as_raw_pid());
    let mut count = 0;
    for thread in fs::read_dir(threads).unwrap() {
        // One may end meanwhile.
        let Ok(status) = fs::read_to_string(thread.unwrap().path().join("status")) else {
            continue;
        };
        assert!(status.contains("Seccomp:\t2"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        count += 1;
    }
    assert!(count > 1);
}

/// Whether somebody has a connection to an address, as the kernel writes it.
fn is_connected(address: &str, port: u16) -> bool {
    let remote = format!("{address}:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.any(|row| row[2] == remote && row[3] == "01")
}

/// Makes `link` a link to `target`, at once.
fn point(link: &Path, target: &Path) {
    let new = link.with_extension("new");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// Kubernetes login by a projected token, renewals, new logins with a token that
/// was swapped, a checkpoint of SQLite's log, metrics, SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn vault_and_sqlite() {
    // Renewals are counted in its audit log.
    let Some(server) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&server).await;
    let issuer = Issuer::new();
    let volumes = tempfile::tempdir().unwrap();
    let mut token =
        Projected::new(volumes.path().join("token"), &[("token", &issuer.token("signer"))]);
    let ca = fs::read_to_string(server.ca_file()).unwrap();
    let mut authority = Projected::new(volumes.path().join("ca"), &[("ca.pem", &ca)]);
    let Login::Kubernetes { mount, role, .. } =
        tenant.kubernetes_login(Role::Signer, &issuer).await
    else {
        unreachable!()
    };
    // A token is renewed at two thirds of two seconds, and is at its end after 6.
    let path = format!("auth/{mount}/role/{role}");
    let short = json!({"token_ttl": 2, "token_max_ttl": 6});
    server.root(Method::POST, &path, short).await;
    let login_path = format!("auth/{mount}/login");
    let mut settings = tenant.settings();
    // A name, to be looked up by the confined process.
    settings.addresses = vec![server.url().replace("127.0.0.1", "localhost")];
    settings.signer = Some(Login::Kubernetes { mount, role, token_file: token.file("token") });
    let kms = vault(&settings, &authority.file("ca.pem"));
    let home = Home::new(tenant.environment().as_str(), &kms, SQLITE);
    let command = home.serve();
    let served = home.start(command).await;
    assert_confined(&served);

    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    let renewals = |_: &Served| server.answers().count("auth/token/renew-self") >= 2;
    served.until("its token is renewed", renewals).await;
    served.sign(&share).await.unwrap();

    let before = server.answers().count(&login_path);
    token.swap(&[("token", &issuer.token("signer"))]);
    authority.swap(&[("ca.pem", &ca)]);
    let again = |_: &Served| server.answers().count(&login_path) > before;
    served.until("it logs in anew", again).await;
    served.sign(&share).await.unwrap();
    assert!(!served.home.log().contains("Vault login failed"));

    // The thread that reads it is confined: it follows no link out of its reach.
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().join("token");
    fs::write(&outside, issuer.token("signer")).unwrap();
    point(&token.file("token"), &outside);
    let refused = |served: &Served| served.home.log().contains("cannot be read: permission denied");
    served.until("it cannot read the token", refused).await;
    point(&token.file("token"), Path::new("..data/token"));
    let before = server.answers().count(&login_path);
    let again = |_: &Served| server.answers().count(&login_path) > before;
    served.until("it logs in once more", again).await;

    // SQLite moves its log into the database every 1,000 pages.
    let database = served.home.path("db/shares.db");
    let length = || fs::metadata(&database).unwrap().len();
    let small = length();
    for _ in 0..1000 {
        if length() > small {
            break;
        }
        served.generate().await;
    }
    assert!(length() > small, "no checkpoint");
    served.sign(&share).await.unwrap();

    assert_eq!(served.metric("ready"), Some(1));
    assert_confined(&served);
    served.stop();
}

/// The name of a database moves to another address, as it does at a failover.
#[tokio::test(flavor = "multi_thread")]
async fn vault_and_a_postgres_that_moves() {
    let Some(vault_server) = VaultServer::shared().await else {
        return;
    };
    // Nobody else connects to it.
    let Some(postgres_server) = PostgresServer::dedicated() else {
        return;
    };
    let Some(mut command) = unshare() else {
        return;
    };
    let tenant = Tenant::new(vault_server).await;
    let database = postgres_server.database().await;
    let settings = database.settings();
    let kms = vault(&tenant.settings(), &vault_server.ca_file());
    let environment = tenant.environment().as_str();
    let home = Home::new(environment, &kms, &postgres(&settings));

    // The server's own view of /etc/hosts, written in place as a container's is.
    let hosts = home.path("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let script = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
    command.args(["sh", "-c", script, "sh"]).arg(&hosts);
    let serve = home.serve();
    command.arg(serve.get_program()).args(serve.get_args());
    let served = home.start(command).await;
    assert_confined(&served);
    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    assert!(is_connected("0100007F", settings.port));

    assert!(!is_connected("0200007F", settings.port));
    fs::write(&hosts, "127.0.0.2 localhost\n").unwrap();
    let admin = database.admin().await;
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND usename = 'app'";
    admin.query(end, &[]).await.unwrap();
    let give_up = std::time::Instant::now() + Duration::from_secs(20);
    while let Err(status) = served.sign(&share).await {
        assert!(std::time::Instant::now() < give_up, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_connected("0200007F", settings.port));
    served.stop();
}
