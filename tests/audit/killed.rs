//! SIGKILL at any moment, under load: whatever signature a client holds is recorded.

use std::{env, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Log, counted,
    held::{Client, Held},
};
use crate::support::served::Home;

/// How often the server is killed; `KILLS` is another number.
const KILLS: u64 = 100;
const CLIENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_holds_is_recorded() {
    let kills = env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut home = Home::embedded();
    let (mut share, mut held) = (None, Vec::new());
    for round in 0..kills {
        let command = home.serve();
        let served = home.start(command).await;
        let share = match &share {
            Some(share) => Arc::clone(share),
            None => {
                let made = Arc::new(served.generate().await);
                share = Some(Arc::clone(&made));
                made
            }
        };
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (socket, share) = (served.socket(), Arc::clone(&share));
            let name = format!("{round}-{client}");
            // The server is killed when all are there, however long that takes.
            let mut at = Client::connect(&socket, &share, name).await;
            clients.spawn(async move {
                // Until the server is gone.
                if client == 0 {
                    let _ = at.stream(|| false).await;
                } else {
                    while at.call().await.is_ok() {}
                }
                at.into_held()
            });
        }
        // Anywhere between the first request and well into the load.
        sleep(Duration::from_micros(5_000 + round * 7_919 % 120_000)).await;
        home = served.kill();
        // One that is not told of the end would wait for ever.
        let ended = timeout(Duration::from_secs(20), clients.join_all()).await.unwrap();
        held.extend(ended.into_iter().flatten());
    }
    let command = home.serve();
    let served = home.start(command).await;
    let log = served.home.path("audit");
    let database = served.home.path("db/shares.db");
    // Everything that was open is closed by the start, and nothing is added.
    let uses = Log::uses(&log);
    served.until("every use is counted", |_| counted(&database) >= uses).await;
    let home = served.stop_keeping();
    assert_eq!(counted(&database), uses);
    assert!(held.len() as u64 > kills, "{} signatures", held.len());

    Held::are_recorded(&held, &Log::read(&log));
    drop(home);
}
