//! Layers behind the idle tick: whoever believes that a hold is overdue asks for a tick. They never end a hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ports::{Cache, Clock, History};

/// How often the ledger's rows are swept.
pub const SWEEP: Duration = Duration::from_secs(10);
/// A pause after a port failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks for a tick whenever the cache says that a reservation's time is over.
pub async fn notices(cache: Arc<dyn Cache>, nudge: Arc<Notify>, stop: CancellationToken) {
    loop {
        let pause = tokio::select! {
            ended = cache.expired() => match ended {
                Ok(_) => { nudge.notify_one(); Duration::ZERO }
                Err(_) => PAUSE,
            },
            () = stop.cancelled() => return,
        };
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = stop.cancelled() => return }
    }
}

/// Asks for a tick whenever a row stands beyond its deadline.
pub async fn sweep(history: Arc<dyn History>, clock: Arc<dyn Clock>, nudge: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! { () = tokio::time::sleep(SWEEP) => {}, () = stop.cancelled() => return }
        match history.overdue(clock.now()).await {
            Ok(true) => nudge.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the sweep for overdue holds did not run"),
        }
    }
}
