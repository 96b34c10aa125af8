//! HTTP for shoppers, and the way into the log: one single-threaded runtime a gateway thread.
//!
//! In the order a request flows: [`connection`] (limits), [`lines`] (who is silent), [`socket`] (answers that leave
//! together), [`routes`] (the one table), [`desk`] (what a thread works with), [`availability`] (and its [`refill`]),
//! [`reserve`], [`reservations`], [`checkout`], [`problem`] (refusals), [`batch`] (the way into the log), [`gate`],
//! [`late`], [`tally`], [`gauges`], [`inside`] (the side door of a process that has no operators), [`openapi`]. What
//! these decide is apart from how they wait, so that the simulator drives it too: [`flag`], [`lookup`], [`paying`],
//! [`sent`], [`shedding`].

pub mod availability;
pub mod batch;
pub mod checkout;
pub mod connection;
pub mod desk;
pub mod flag;
pub mod gate;
pub mod gauges;
pub mod inside;
pub mod late;
pub mod lines;
pub mod lookup;
pub mod openapi;
pub mod paying;
pub mod problem;
pub mod refill;
pub mod reservations;
pub mod reserve;
pub mod routes;
pub mod sent;
pub mod shedding;
pub mod socket;
pub mod tally;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::allocator::gauges::Gauges;
use crate::ports::Log;
use crate::record::Committed;
use crate::sale::definition::Overload;
use crate::submit::{Submit, Submitted};
use crate::token::{Keys, Verifier};

use batch::{Batcher, Parts};
use desk::{Desk, Shared};
use gauges::GatewayGauges;

/// How often a gateway appends what it refused by itself.
const TALLY: Duration = Duration::from_secs(1);

/// What a gateway thread is made of.
pub struct Gateway {
    /// Its number, from 0.
    pub number: u32,
    /// Its socket, already listening.
    pub listener: std::net::TcpListener,
    /// Shared with the other threads.
    pub shared: Shared,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Decisions.
    pub feed: mpsc::Receiver<Arc<Committed>>,
    /// The writer's.
    pub writer: Arc<Gauges>,
    /// Its own.
    pub gauges: Arc<GatewayGauges>,
    /// Shoppers' keys.
    pub keys: Keys,
    /// When to refuse.
    pub overload: Overload,
    /// Ends it.
    pub stop: CancellationToken,
}

/// A listening socket for a gateway thread.
///
/// # Errors
/// The system's, `AddrInUse` among them.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    connection::listen(address)
}

impl Gateway {
    /// Runs on a thread of its own until stopped; who waits is answered first.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name(format!("gateway-{}", self.number))
            .spawn(move || LocalSet::new().block_on(&runtime, self.run()))
    }

    async fn run(self) {
        let Self { number, listener, shared, log, feed, writer, gauges, keys, overload, stop } = self;
        let boot = rand::random();
        let clock = Arc::clone(&shared.clock);
        let parts = Parts { gateway: number, boot, log, feed, gauges: writer, clock, overload: Some(overload) };
        let batcher = Batcher::start(parts);
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, number, "the gateway's socket is unusable"),
        };
        let desk = Rc::new(Desk::new(shared, batcher, gauges, Verifier::new(keys), number, boot));
        let tallies = tokio::task::spawn_local(append_tallies(Rc::clone(&desk)));
        connection::serve(listener, Rc::clone(&desk), stop).await;
        tallies.abort();
        if append_tally(&desk).await {
            desk.batcher.submit(tally::Tally::last_word(), TALLY).await;
        }
    }
}

async fn append_tallies(desk: Rc<Desk>) {
    let mut ticks = tokio::time::interval(TALLY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        append_tally(&desk).await;
    }
}

/// False: it was not taken, and counts again with the next.
async fn append_tally(desk: &Desk) -> bool {
    if let Some(entry) = desk.tally.take()
        && let Submitted::Overloaded(_) = desk.batcher.submit(entry.clone(), TALLY).await
    {
        desk.tally.put_back(entry);
        return false;
    }
    true
}
