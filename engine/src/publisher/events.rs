//! Decisions as CloudEvents 1.0, JSON. An event's id is its position, so that a repeat is recognised.

use bytes::Bytes;
use flashsale_core::{HoldChange, Phase};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::id::{Ids, hex};
use crate::record::{Committed, Decision, HoldNotice, SaleNotice};
use crate::sale::Frozen;

/// Turns decisions into events.
#[derive(Debug, Clone)]
pub struct Encoder {
    ids: Ids,
    source: String,
    sale: String,
    skus: Vec<String>,
    rehearsal: bool,
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'static str,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    /// An extension attribute: present and true for events of a rehearsal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rehearsal: bool,
    data: Value,
}

/// Where in a record an event stands: its command, and its place among that command's events.
#[derive(Clone, Copy)]
struct Place {
    index: u32,
    ordinal: u32,
}

impl Encoder {
    /// For one run of a sale.
    #[must_use]
    pub fn new(frozen: &Frozen) -> Self {
        Self {
            ids: Ids::new(frozen.run),
            source: format!("/flashsale/{}/{}", frozen.definition.sale, frozen.run),
            sale: frozen.definition.sale.clone(),
            skus: frozen.definition.items.iter().map(|item| item.sku.clone()).collect(),
            rehearsal: frozen.rehearsal,
        }
    }

    /// Every event of a batch, in order.
    #[must_use]
    pub fn encode(&self, committed: &Committed) -> Vec<Bytes> {
        committed.decisions.iter().flat_map(|decision| self.decision(decision)).collect()
    }

    fn decision(&self, decision: &Decision) -> Vec<Bytes> {
        let mut events = Vec::new();
        let (mut holds, mut sale) = (decision.holds.iter().peekable(), decision.sale.iter().peekable());
        let mut place = Place { index: 0, ordinal: 0 };
        // Two lists, each in order: within one command, what its holds did comes before what the sale did.
        loop {
            let hold_index = holds.peek().map(|notice| notice.index);
            let sale_index = sale.peek().map(|notice| notice.index);
            let Some(index) = hold_index.into_iter().chain(sale_index).min() else { break };
            place = Place { index, ordinal: if index == place.index { place.ordinal } else { 0 } };
            let event = if hold_index == Some(index) {
                holds.next().and_then(|notice| self.hold(decision, place, notice))
            } else {
                sale.next().and_then(|notice| self.sale(decision, place, notice))
            };
            place.ordinal += u32::from(event.is_some());
            events.extend(event);
        }
        events
    }

    fn hold(&self, decision: &Decision, place: Place, notice: &HoldNotice) -> Option<Bytes> {
        let r#type = match notice.change {
            HoldChange::Reserved => "reservation.created",
            HoldChange::Waiting => "reservation.waiting",
            HoldChange::Offered => "reservation.offered",
            HoldChange::Claimed => "reservation.claimed",
            HoldChange::Expired => "reservation.expired",
            HoldChange::Cancelled => "reservation.cancelled",
            HoldChange::Confirmed => "order.confirmed",
            HoldChange::Failed => "order.failed",
            HoldChange::Refunded => "order.refunded",
            HoldChange::RefundPlanned | HoldChange::RefundSent => return None,
        };
        let reservation = self.ids.reservation(notice.hold);
        let is_order = r#type.starts_with("order.");
        let mut data = Map::new();
        data.insert("reservation_id".into(), json!(reservation));
        if is_order {
            data.insert("order_id".into(), json!(self.ids.order(notice.hold)));
        }
        data.insert("sku".into(), json!(self.skus.get(usize::from(notice.item))));
        data.insert("quantity".into(), json!(1));
        let holds = matches!(notice.change, HoldChange::Reserved | HoldChange::Offered | HoldChange::Claimed);
        if holds {
            data.insert("expires_at".into(), json!(time(notice.expires_at)));
        }
        if let Some(name) = &notice.name {
            data.insert("customer".into(), json!(name));
        }
        if let Some(request) = notice.request {
            data.insert("request_id".into(), json!(hex(&request.0)));
        }
        if let Some(parent) = notice.parent {
            data.insert("replaces".into(), json!(self.ids.reservation(parent)));
        }
        let subject = if is_order { self.ids.order(notice.hold) } else { reservation };
        Some(self.event(decision, place, r#type, subject, data))
    }

    fn sale(&self, decision: &Decision, place: Place, notice: &SaleNotice) -> Option<Bytes> {
        let r#type = match (notice.from, notice.to) {
            (_, Phase::Closed) => "sale.closed",
            (_, Phase::Halted) => "sale.halted",
            (Phase::Halted, Phase::Live | Phase::Upcoming) => "sale.resumed",
            (_, Phase::Live) => "sale.opened",
            (_, Phase::Upcoming) => return None,
        };
        let mut data = Map::new();
        data.insert("sale".into(), json!(self.sale));
        if !notice.words.is_empty() {
            data.insert("by".into(), json!(notice.words));
        }
        Some(self.event(decision, place, r#type, self.sale.clone(), data))
    }

    fn event(
        &self,
        decision: &Decision,
        place: Place,
        r#type: &'static str,
        subject: String,
        data: Map<String, Value>,
    ) -> Bytes {
        let Place { index, ordinal } = place;
        let event = CloudEvent {
            specversion: "1.0",
            id: format!("{}-{}-{index}-{ordinal}", decision.generation, decision.offset),
            source: &self.source,
            r#type,
            subject,
            time: time(decision.timestamp),
            datacontenttype: "application/json",
            rehearsal: self.rehearsal,
            data: Value::Object(data),
        };
        // Strings, numbers and maps with string keys: there is nothing in it that JSON cannot say.
        serde_json::to_vec(&event).map(Bytes::from).unwrap_or_default()
    }
}

/// RFC 3339 in UTC; the epoch for a moment outside the calendar.
fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
