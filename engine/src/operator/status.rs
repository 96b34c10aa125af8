//! The sale as operators see it, put together from the writer's gauges and the board.

use std::sync::Arc;

use crate::allocator::gauges::Gauges;
use crate::gateway::gate::GateFlag;
use crate::ports::Clock;
use crate::publisher::board::Board;
use crate::record::ItemNotice;
use crate::sale::Frozen;

use super::wire::{Halt, ItemStatusLine, SloTargets, Status, Writer};

/// Makes statuses.
pub struct StatusSource {
    /// What was frozen.
    pub frozen: Arc<Frozen>,
    /// The writer's.
    pub writer: Arc<Gauges>,
    /// Items.
    pub board: Arc<Board>,
    /// The gate.
    pub gate: Arc<GateFlag>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// When this engine started, Unix ms.
    pub started_at: i64,
}

impl StatusSource {
    /// The items' newest numbers.
    pub fn board_items(&self) -> impl Iterator<Item = ItemNotice> + '_ {
        self.board.items().into_iter()
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> Status {
        let definition = &self.frozen.definition;
        let standing = self.writer.standing();
        let sale = self.writer.sale.load_full();
        let items: Vec<ItemStatusLine> = self.board_items().zip(&definition.items).map(line).collect();
        let revenue = items
            .iter()
            .zip(&definition.items)
            .map(|(line, item)| i64::from(line.sold).saturating_mul(item.price.minor))
            .sum();
        let currency = definition.items.first().map_or(*b"XXX", |item| item.price.currency);
        let millis = |duration: std::time::Duration| duration.as_secs_f64() * 1_000.0;
        Status {
            sale: definition.sale.clone(),
            run: self.frozen.run,
            rehearsal: self.frozen.rehearsal,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            leads: self.writer.leads(),
            started_at: self.started_at,
            now: self.clock.now(),
            phase: self.board.phase(),
            armed: sale.as_ref().is_some_and(|sale| sale.armed),
            ended: sale.as_ref().is_some_and(|sale| sale.ended),
            opens_at: sale
                .as_ref()
                .map_or_else(|| self.frozen.opens_at.map(jiff::Timestamp::as_millisecond), |sale| sale.opens_at),
            opened_at: sale.as_ref().and_then(|sale| sale.opened_at),
            closes_at: sale.as_ref().and_then(|sale| sale.closes_at),
            closed_at: sale.as_ref().and_then(|sale| sale.closed_at),
            pace: sale.as_ref().map_or(definition.pace, |sale| sale.pace),
            slo: SloTargets {
                read_p95_ms: millis(definition.slo.read.p95),
                write_p95_ms: millis(definition.slo.write.p95),
                checkout_p95_ms: millis(definition.slo.checkout.p95),
                availability: definition.slo.availability,
            },
            halt: sale.as_ref().and_then(|sale| sale.halt).map(|(scope, cause)| Halt { scope, cause }),
            gate: self.gate.why(),
            stopped: self.writer.stopped.load_full().map(|why| (*why).clone()),
            unconfirmed: self.writer.unconfirmed.load_full().map(|why| (*why).clone()),
            cache_away_since: self.writer.cache_away_since(),
            orders: items.iter().map(|item| u64::from(item.sold)).sum(),
            items,
            writer: Writer {
                epoch: standing.epoch,
                generation: standing.generation,
                next_offset: standing.next_offset,
                log_end: standing.log_end,
                published_through: standing.published_through,
                digest: format!("{:016x}", standing.digest),
            },
            open_payments: sale.as_ref().map_or(0, |sale| sale.open_payments),
            revenue_minor: revenue,
            currency: String::from_utf8_lossy(&currency).into_owned(),
        }
    }
}

fn line((notice, item): (ItemNotice, &crate::sale::definition::Item)) -> ItemStatusLine {
    ItemStatusLine {
        sku: item.sku.clone(),
        name: item.name.clone(),
        status: notice.status,
        stock: notice.stock,
        shortage: notice.shortage,
        held: notice.held,
        sold: notice.sold,
        waiting: notice.waiting,
        available: notice.available,
    }
}
