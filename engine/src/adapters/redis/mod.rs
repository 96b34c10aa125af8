//! The cache in Redis or Valkey, a single server or a cluster: stock, reservations and product data under the keys of
//! [`Names`], as `docs/redis.md` shows them.
//!
//! [`values`] is what stands in the keys, [`link`] the connection that writes and reads, [`notices`] the connections
//! that hear of reservations whose time is over.

mod link;
mod notices;
mod values;

use std::collections::HashMap;
use std::time::Duration;

use ::redis::Pipeline;
use async_trait::async_trait;
use bytes::Bytes;
use flashsale_core::ItemIndex;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, OnceCell};

use crate::id::Ids;
use crate::ports::{Cache, CacheError, CacheNotice, CacheWrite, StockPicture};
use crate::sale::Names;
use link::Link;
use notices::Notices;

/// Commands in a pipeline: a write in one of a hundred costs a tenth of a write by itself.
const PIPELINE: usize = 100;
/// Pipelines on their way at once.
const AT_ONCE: usize = 8;
/// How long a pipeline may take before its writes count as failed.
const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// How long a read may take: whoever reads has another place to ask.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// What is cached of which sale.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The names of its keys.
    pub names: Names,
    /// Its items, by place.
    pub skus: Vec<String>,
    /// Its reservations' public ids.
    pub ids: Ids,
}

impl Scope {
    fn sku(&self, item: ItemIndex) -> Result<&str, CacheError> {
        self.skus.get(usize::from(item)).map(String::as_str).ok_or_else(|| CacheError(format!("no item {item}")))
    }
}

/// The cache of one run.
pub struct RedisCache {
    scope: Scope,
    link: Link,
    urls: Vec<String>,
    /// Heard from the first wish for a notice on.
    notices: OnceCell<Mutex<Notices>>,
}

impl RedisCache {
    /// A cache at [`Services::redis`](crate::sale::Services::redis). Its servers are reached with the first use, and again
    /// after every break: a sale starts without them. Call it on the runtime that outlives the cache.
    ///
    /// # Errors
    /// When an address is not one.
    pub fn open(urls: &[String], scope: Scope) -> Result<Self, CacheError> {
        let link = Link::new(urls).map_err(away)?;
        Ok(Self { scope, link, urls: urls.to_vec(), notices: OnceCell::new() })
    }

    /// Pipelines that a server takes whole: of a cluster's, each holds the keys of one item, which share a slot.
    fn pipelines(&self, writes: &[CacheWrite]) -> Result<Vec<Pipeline>, CacheError> {
        let mut open: HashMap<ItemIndex, Pipeline> = HashMap::new();
        let mut full = Vec::new();
        for write in writes {
            let item = values::item(write);
            let place = if self.link.is_cluster() { item } else { 0 };
            let pipeline = open.entry(place).or_insert_with(|| Pipeline::with_capacity(PIPELINE));
            values::add(pipeline, &self.scope, self.scope.sku(item)?, write);
            if pipeline.len() >= PIPELINE {
                full.extend(open.remove(&place));
            }
        }
        full.extend(open.into_values());
        Ok(full)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        match tokio::time::timeout(READ_WITHIN, self.link.get(key)).await {
            Ok(read) => read.map_err(away),
            Err(_) => Err(CacheError(format!("no answer within {} ms", READ_WITHIN.as_millis()))),
        }
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn write(&self, writes: &[CacheWrite]) -> Result<(), CacheError> {
        let send = |pipeline| async move {
            match tokio::time::timeout(WRITE_WITHIN, self.link.send(&pipeline)).await {
                Ok(sent) => sent.map_err(away),
                Err(_) => Err(CacheError(format!("no answer within {} s", WRITE_WITHIN.as_secs()))),
            }
        };
        // Writes of one key may stand in two pipelines only when the caller gave two: their order does not matter then,
        // because stock is versioned and everything else is given once a call.
        stream::iter(self.pipelines(writes)?).map(send).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn stock(&self, item: ItemIndex) -> Result<Option<StockPicture>, CacheError> {
        let key = self.scope.names.stock_key(self.scope.sku(item)?);
        Ok(self.get(&key).await?.and_then(|value| values::picture(item, &value)))
    }

    async fn product(&self, item: ItemIndex) -> Result<Option<Bytes>, CacheError> {
        let key = self.scope.names.product_key(self.scope.sku(item)?);
        Ok(self.get(&key).await?.map(Bytes::from))
    }

    async fn expired(&self) -> Result<CacheNotice, CacheError> {
        let listen = || async { Notices::listen(&self.urls, self.scope.clone()).map(Mutex::new).map_err(away) };
        self.notices.get_or_try_init(listen).await?.lock().await.next().await
    }
}

fn away(error: ::redis::RedisError) -> CacheError {
    CacheError(error.to_string())
}
