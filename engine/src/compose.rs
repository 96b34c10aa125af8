//! The only place that names adapters: puts an engine together, runs it, takes it apart in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapters::sqlite::OpenError;
use crate::allocator::service::WriterError;
use crate::gateway::connection::Limits;
use crate::operator::routes::router;
use crate::sale::{Addresses, Folder};
use crate::token::KeyError;

mod assembly;
#[cfg(feature = "cluster")]
mod cluster;
mod embedded;
mod facts;
mod files;
pub mod holder;
pub mod mend;
mod stores;

use assembly::Assembly;
use files::{claim, in_use, lock, write_whole};
pub use stores::Stores;

/// Why an engine does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken.
    #[error("{0} is in use {1}")]
    AddressInUse(SocketAddr, String),
    /// Another engine serves this sale.
    #[error("another engine serves this sale")]
    AlreadyServed,
    /// The log and the ledger contradict each other: exit 98.
    #[error("{0}")]
    Damaged(String),
    /// The writer ended.
    #[error("the writer ended: {0}")]
    Writer(String),
    /// A key could not be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stack's servers do not answer, or are not as they must be.
    #[error("{0}")]
    Stack(String),
    /// The sandbox could not be opened.
    #[error("payments: {0}")]
    Sandbox(#[from] sqlx::Error),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<WriterError> for ServeError {
    fn from(error: WriterError) -> Self {
        if error.is_damage() { Self::Damaged(error.to_string()) } else { Self::Writer(error.to_string()) }
    }
}

/// Serves a sale's folder until `stop`: answers who waits, finishes the batch, keeps a snapshot, leaves.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(folder: Folder, stop: CancellationToken) -> Result<(), ServeError> {
    serve_within(folder, Limits::default(), stop).await
}

/// The same with other limits for connections; its errors are the same too.
pub async fn serve_within(folder: Folder, limits: Limits, stop: CancellationToken) -> Result<(), ServeError> {
    let frozen = Arc::new(folder.read_frozen()?);
    let _lock = lock(&folder)?;
    let engine = &frozen.definition.engine;
    let first = claim(engine.listen)?;
    let listen = first.local_addr()?;
    let operator = tokio::net::TcpListener::bind(engine.operator_listen)
        .await
        .map_err(|error| in_use(engine.operator_listen, error))?;
    let (stores, outlets) = stores::open(&folder, &frozen).await?;
    let parts = Assembly::new(&folder, frozen, stores, outlets, limits)?;
    let addresses = Addresses { listen, operator: operator.local_addr()?, pid: std::process::id() };
    let (gateways, stop_gateways) = (parts.gateways(first, listen)?, parts.stop_gateways.clone());
    parts.background(&folder);
    let routes = router(Arc::clone(&parts.operator));
    let stop_operator = parts.stop_operator.clone();
    parts.tasks.spawn(async move {
        let _ = axum::serve(operator, routes).with_graceful_shutdown(stop_operator.cancelled_owned()).await;
    });
    let writer = parts.writer()?;
    write_whole(&folder.addresses(), &serde_json::to_vec(&addresses).map_err(io::Error::other)?)?;
    tracing::info!(%listen, operator = %addresses.operator, "serving");
    let mut ended = writer.ended;
    let early = tokio::select! {
        () = stop.cancelled() => None,
        ended = &mut ended => Some(ended),
    };
    stop_gateways.cancel();
    for gateway in gateways {
        let _ = tokio::task::spawn_blocking(move || gateway.join()).await;
    }
    parts.stop_operator.cancel();
    parts.stop_writer.cancel();
    let result = match early {
        Some(ended) => ended,
        None => ended.await,
    };
    parts.stop_publisher.cancel();
    parts.tasks.close();
    parts.tasks.wait().await;
    let _ = std::fs::remove_file(folder.addresses());
    match result {
        Ok(Ok(())) => Ok(()),
        Err(_) => Err(ServeError::Writer("its thread died".to_owned())),
        Ok(Err(error)) => Err(error.into()),
    }
}
