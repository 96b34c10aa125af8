//! The cache as the engine needs it: advisory copies of stock, reservations and product data. Nothing decides by them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::{HoldNumber, ItemIndex};

use crate::record::ItemNotice;

/// How long a stock value lasts when nobody renews it (customer: 5 s). Every tick of the writer renews it; what is left
/// of a writer that died lapses.
pub const STOCK_LASTS: Duration = Duration::from_secs(5);

/// An item's numbers, with the record that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockPicture {
    /// The log's generation.
    pub generation: u32,
    /// The record's offset.
    pub offset: u64,
    /// The record's time, Unix ms.
    pub as_of: i64,
    /// The numbers after it.
    pub item: ItemNotice,
}

impl StockPicture {
    /// What makes the newest value win: offsets begin anew with each generation.
    #[must_use]
    pub const fn position(&self) -> (u32, u64) {
        (self.generation, self.offset)
    }
}

/// One write. Each may be repeated: the outcome is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheWrite {
    /// An item's numbers; an older position never overwrites a newer one. They last [`STOCK_LASTS`].
    Stock(StockPicture),
    /// Keep a reservation until its deadline (Unix ms), then tell [`Cache::expired`].
    Hold {
        /** Which. */
        hold: HoldNumber,
        /** Of what. */
        item: ItemIndex,
        /** Unix ms. */
        expires_at: i64,
    },
    /// Forget a reservation.
    Ended {
        /** Which. */
        hold: HoldNumber,
        /** Of what. */
        item: ItemIndex,
    },
    /// An item's product data, JSON.
    Product {
        /** Of what. */
        item: ItemIndex,
        /** As shoppers get it. */
        body: Bytes,
    },
}

/// A nudge for a tick, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheNotice {
    /// A reservation's time is over.
    Expired(HoldNumber),
    /// Notices may have been missed, because the cache was away.
    Missed,
}

/// Advisory copies.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Writes, in few round trips. After an error some may be written: all are given again.
    async fn write(&self, writes: &[CacheWrite]) -> Result<(), CacheError>;
    /// An item's numbers, unless they have lapsed.
    async fn stock(&self, item: ItemIndex) -> Result<Option<StockPicture>, CacheError>;
    /// An item's product data.
    async fn product(&self, item: ItemIndex) -> Result<Option<Bytes>, CacheError>;
    /// Waits for a notice. One caller at a time.
    async fn expired(&self) -> Result<CacheNotice, CacheError>;
}

/// The cache did not answer; the sale goes on.
#[derive(Debug, thiserror::Error)]
#[error("the cache is not available: {0}")]
pub struct CacheError(pub String);
