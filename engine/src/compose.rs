//! The only place that names adapters: puts an engine together, runs it, takes it apart in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapters::sqlite::OpenError;
use crate::allocator::service::WriterError;
use crate::operator::routes::router;
use crate::sale::Role;
use crate::token::KeyError;

mod assembly;
#[cfg(feature = "cluster")]
mod cluster;
mod embedded;
mod facts;
mod files;
pub mod holder;
pub mod mend;
mod serving;
mod stores;

use assembly::{Assembly, Writing};
use files::lock;
pub use serving::Serving;
use serving::{Doors, Said};
pub use stores::Stores;

/// Why an engine does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken.
    #[error("{0} is in use {1}")]
    AddressInUse(SocketAddr, String),
    /// Another process of this name serves this sale.
    #[error("another process of this name serves this sale")]
    AlreadyServed,
    /// A role that needs a stack of servers.
    #[error("the embedded stack is served by one process: role `all`")]
    Role,
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

/// Serves a sale until `stop`: answers who waits, finishes the batch, keeps a snapshot, leaves.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(serving: Serving, stop: CancellationToken) -> Result<(), ServeError> {
    let folder = &serving.folder;
    let frozen = Arc::new(folder.read_frozen()?);
    let _lock = lock(folder, &serving.name)?;
    let doors = Doors::open(&serving, &frozen.definition.engine).await?;
    let (stores, outlets) = stores::open(folder, &frozen).await?;
    if outlets.decisions.is_none() && serving.role != Role::All {
        return Err(ServeError::Role);
    }
    let parts = Assembly::new(&serving, Arc::clone(&frozen), stores, outlets)?;
    let process = doors.process(&serving)?;
    let gateways = match doors.shoppers {
        Some(listener) => parts.gateways(listener, serving.first_gateway())?,
        None => Vec::new(),
    };
    parts.follow();
    if let Some(listener) = doors.operators {
        parts.show();
        parts.beside_the_writer(folder);
        let (routes, stop) = (router(Arc::clone(&parts.operator)), parts.stop_operator.clone());
        parts.tasks.spawn(async move {
            let _ = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        });
    }
    if let Some(listener) = doors.inside {
        parts.tasks.spawn(parts.inside().serve(listener, parts.stop_operator.clone()));
    }
    let mut writing = if serving.role.writes() { Some(parts.writer()?) } else { None };
    let said = Said::say(folder, &process, &frozen.definition.engine)?;
    tracing::info!(?process, "serving");
    let early = tokio::select! {
        () = stop.cancelled() => None,
        ended = ended(&mut writing) => Some(ended),
        () = said.lead_once(&parts.gauges) => None,
    };
    parts.stop_gateways.cancel();
    for gateway in gateways {
        let _ = tokio::task::spawn_blocking(move || gateway.join()).await;
    }
    parts.stop_operator.cancel();
    parts.stop_writer.cancel();
    let result = match early {
        Some(ended) => ended,
        None if writing.is_some() => ended(&mut writing).await,
        None => Ok(()),
    };
    parts.stop_publisher.cancel();
    parts.tasks.close();
    parts.tasks.wait().await;
    result
}

/// How the writer ended; never, where there is none.
async fn ended(writing: &mut Option<Writing>) -> Result<(), ServeError> {
    match writing {
        None => std::future::pending().await,
        Some(writing) => match (&mut writing.ended).await {
            Ok(ended) => ended.map_err(ServeError::from),
            Err(_) => Err(ServeError::Writer("its thread died".to_owned())),
        },
    }
}
