//! What stands in the keys: JSON that others can read, too. `docs/redis.md` is its documentation.

use ::redis::Pipeline;
use flashsale_core::{ItemIndex, ItemStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Scope;
use crate::ports::{CacheWrite, STOCK_LASTS, StockPicture};
use crate::record::ItemNotice;

/// Sets a stock value unless a newer one is kept; the same position renews its time. A value that is not readable (by
/// someone else's hand) is overwritten. Numbers of Lua are exact to 2^53, which no offset reaches.
const PUT_NEWER: &str = "\
local kept = redis.call('get', KEYS[1])
if kept then
  local readable, value = pcall(cjson.decode, kept)
  local position = readable and type(value) == 'table' and type(value.position) == 'table' and value.position or {}
  local generation, offset = tonumber(position.generation) or -1, tonumber(position.offset) or -1
  if generation > tonumber(ARGV[1]) or (generation == tonumber(ARGV[1]) and offset > tonumber(ARGV[2])) then
    return 0
  end
end
redis.call('set', KEYS[1], ARGV[3], 'px', ARGV[4])
return 1";

/// An item's numbers.
#[derive(Serialize, Deserialize)]
struct Stock {
    position: Position,
    as_of: Timestamp,
    sku: String,
    status: ItemStatus,
    available: u32,
    held: u32,
    sold: u32,
    total: u32,
    waiting: u32,
    shortage: u32,
    earliest_deadline: Option<Timestamp>,
}

/// Where in the log the numbers come from; the higher one is the newer.
#[derive(Serialize, Deserialize)]
struct Position {
    generation: u32,
    offset: u64,
}

/// A reservation that still holds its unit.
#[derive(Serialize)]
struct Reservation<'a> {
    sku: &'a str,
    status: &'static str,
    expires_at: Timestamp,
}

/// Of what a write is.
pub(super) const fn item(write: &CacheWrite) -> ItemIndex {
    match write {
        CacheWrite::Stock(picture) => picture.item.item,
        CacheWrite::Hold { item, .. } | CacheWrite::Ended { item, .. } | CacheWrite::Product { item, .. } => *item,
    }
}

/// Adds a write to a pipeline.
pub(super) fn add(pipeline: &mut Pipeline, scope: &Scope, sku: &str, write: &CacheWrite) {
    let key = |hold| scope.names.reservation_key(sku, &scope.ids.reservation(hold));
    match write {
        // The script is sent as a whole: with its hash alone, a restarted server would not know it, and stock is written
        // at most once in 10 ms an item.
        CacheWrite::Stock(picture) => {
            let put = pipeline.cmd("EVAL").arg(PUT_NEWER).arg(1).arg(scope.names.stock_key(sku));
            put.arg(picture.generation).arg(picture.offset).arg(json(&stock(sku, picture)));
            put.arg(u64::try_from(STOCK_LASTS.as_millis()).unwrap_or(u64::MAX)).ignore()
        }
        CacheWrite::Hold { hold, expires_at, .. } => {
            let reservation = Reservation { sku, status: "RESERVED", expires_at: moment(*expires_at) };
            pipeline.cmd("SET").arg(key(*hold)).arg(json(&reservation)).arg("PXAT").arg(*expires_at).ignore()
        }
        CacheWrite::Ended { hold, .. } => pipeline.cmd("DEL").arg(key(*hold)).ignore(),
        CacheWrite::Product { body, .. } => {
            pipeline.cmd("SET").arg(scope.names.product_key(sku)).arg(body.as_ref()).ignore()
        }
    };
}

fn stock(sku: &str, picture: &StockPicture) -> Stock {
    let StockPicture { generation, offset, as_of, item } = *picture;
    Stock {
        position: Position { generation, offset },
        as_of: moment(as_of),
        sku: sku.to_owned(),
        status: item.status,
        available: item.available,
        held: item.held,
        sold: item.sold,
        total: item.stock,
        waiting: item.waiting,
        shortage: item.shortage,
        earliest_deadline: item.earliest_deadline.map(moment),
    }
}

/// A stock value as it was written; none when someone else wrote something else there.
pub(super) fn picture(item: ItemIndex, value: &[u8]) -> Option<StockPicture> {
    let stock: Stock = serde_json::from_slice(value).ok()?;
    Some(StockPicture {
        generation: stock.position.generation,
        offset: stock.position.offset,
        as_of: stock.as_of.as_millisecond(),
        item: ItemNotice {
            item,
            stock: stock.total,
            shortage: stock.shortage,
            held: stock.held,
            sold: stock.sold,
            waiting: stock.waiting,
            available: stock.available,
            status: stock.status,
            earliest_deadline: stock.earliest_deadline.map(Timestamp::as_millisecond),
        },
    })
}

fn moment(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain structs of numbers and strings: serialization has nothing to refuse.
    serde_json::to_vec(value).unwrap_or_default()
}
