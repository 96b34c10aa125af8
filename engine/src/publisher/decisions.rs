//! The decisions log: every committed batch, for the processes that are not the writer. Each record carries epoch, next
//! offset, digest and the audit chain's head, so that the ledger alone cannot rewrite history.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::allocator::gauges::{Gauges, SaleView};
use crate::ports::{Log, LogError};
use crate::record::{Committed, encode};

/// One record of the decisions log: the version byte, then this in postcard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The batch.
    pub committed: Committed,
    /// The sale as a whole, when the writer's view of it is newer than the last one told. It decides nothing.
    pub sale: Option<SaleView>,
}

/// The sale's view that was told last.
#[derive(Debug, Default)]
pub(super) struct Shown(Option<Arc<SaleView>>);

/// Appends batches in order; returns once all are acknowledged. After an error any of them may be there: they are
/// published again from the first.
pub(super) async fn publish(
    log: &dyn Log,
    batches: &[Arc<Committed>],
    shown: &mut Shown,
    gauges: &Gauges,
) -> Result<(), LogError> {
    let view = gauges.sale.load_full().filter(|view| shown.0.as_ref().is_none_or(|last| !Arc::ptr_eq(last, view)));
    let last = batches.len().saturating_sub(1);
    let mut appends = Vec::with_capacity(batches.len());
    for (place, batch) in batches.iter().enumerate() {
        let sale = view.as_deref().filter(|_| place == last).cloned();
        let told = Told { committed: (**batch).clone(), sale };
        let bytes = encode(&told).map_err(|error| LogError::Unavailable(error.to_string()))?;
        let mut append = log.append(Bytes::from(bytes));
        // Polled once in order, so that the log has them in order; then all are waited for together.
        match futures_util::poll!(&mut append) {
            std::task::Poll::Ready(appended) => _ = appended?,
            std::task::Poll::Pending => appends.push(append),
        }
    }
    try_join_all(appends).await?;
    if view.is_some() {
        shown.0 = view;
    }
    Ok(())
}
