//! Connections of everyone but the writer: a few, shared, opened when they are needed, towards whichever server is the
//! primary then.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::link::Link;
use super::servers::{Purpose, Servers};
use crate::ports::LedgerError;

/// How long a reader waits for a connection to be free.
const WAIT: Duration = Duration::from_secs(2);

/// A bounded number of connections of one purpose.
pub(super) struct Readers {
    places: Semaphore,
    links: Vec<Mutex<Link>>,
}

/// One of them, until it is dropped.
pub(super) struct Reader<'a> {
    link: MutexGuard<'a, Link>,
    _place: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(purpose: Purpose, connections: usize) -> Self {
        let links = (0..connections).map(|_| Mutex::new(Link::new(purpose))).collect();
        Self { places: Semaphore::new(connections), links }
    }

    pub(super) async fn get(&self) -> Result<Reader<'_>, LedgerError> {
        let busy = || LedgerError::Unavailable("every connection for reading is busy".to_owned());
        let Ok(Ok(place)) = timeout(WAIT, self.places.acquire()).await else { return Err(busy()) };
        let free = self.links.iter().find_map(|link| link.try_lock().ok());
        free.map(|link| Reader { link, _place: place }).ok_or_else(busy)
    }
}

impl Reader<'_> {
    /// A connection that has just shown that it works.
    pub(super) async fn connection(&mut self, servers: &Servers) -> Result<&mut PgConnection, LedgerError> {
        self.link.check().await;
        self.link.ready(servers).await
    }
}
