//! Signals, and shutting down: SIGTERM or SIGINT turns readiness off, listeners stop
//! accepting, what is in flight finishes within the grace period.
#![forbid(unsafe_code)]

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Starts the draining of everything that holds a [`Draining`].
pub struct Shutdown(watch::Sender<bool>);

/// Tells when draining starts. Cheap to clone.
#[derive(Clone)]
pub struct Draining(watch::Receiver<bool>);

impl Shutdown {
    /// A shutdown that has not started.
    pub fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Draining(receiver))
    }

    /// Starts it.
    pub fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Draining {
    /// Whether it has started.
    pub fn has_started(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when draining starts, also when whoever could start it is gone.
    pub async fn started(mut self) {
        let _ = self.0.wait_for(|started| *started).await;
    }
}

/// Does something at every SIGHUP, which ends the process otherwise.
///
/// # Errors
/// The handler cannot be installed.
pub fn at_hang_up(act: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}

/// SIGTERM and SIGINT. From when on this is there, neither ends the process by itself, and
/// the first process of a container hears them at all.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from here on.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the next one, with its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
