//! What everybody may read: availability, product data, health.

use std::sync::atomic::Ordering::Relaxed;

use flashsale_core::ItemIndex;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, Response, StatusCode};

use super::desk::Desk;
use super::problem::{Answer, json, problem};
use crate::publisher::board::Page;

/// A CDN may serve it for a second, and for five more while it asks again: the customer's safety net.
const SHORTLY: HeaderValue = HeaderValue::from_static("public, max-age=1, stale-while-revalidate=5");
/// Product data does not change while a sale runs.
const A_MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `GET /v1/skus/{sku}/availability` from this process's memory.
pub fn remembered(desk: &Desk, headers: &HeaderMap, sku: &str) -> Answer {
    let board = &desk.shared.board;
    board.item(sku).and_then(|item| board.page(item)).map_or_else(|| unknown(sku), |page| shown(headers, &page))
}

/// The same, from the cache when memory is not fresh.
pub async fn availability(desk: &Desk, headers: &HeaderMap, sku: &str) -> Answer {
    let board = &desk.shared.board;
    let Some(item) = board.item(sku).filter(|_| !board.fresh()) else { return remembered(desk, headers, sku) };
    let Some((page, cached)) = desk.shared.refill.page(board, item).await else { return unknown(sku) };
    if cached {
        desk.gauges.cache_reads.fetch_add(1, Relaxed);
    }
    shown(headers, &page)
}

fn shown(headers: &HeaderMap, page: &Page) -> Answer {
    let known = headers.get(IF_NONE_MATCH).is_some_and(|tag| tag == page.etag);
    let mut answer = Response::new(Full::new(if known { bytes::Bytes::new() } else { page.body.clone() }));
    if known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, SHORTLY);
    headers.insert(ETAG, page.etag.clone());
    answer
}

/// `GET /v1/skus` and `GET /v1/skus/{sku}`
pub fn products(desk: &Desk, sku: Option<&str>) -> Answer {
    let facts = &desk.shared.facts;
    let body = match sku {
        None => Some(&facts.catalogue),
        Some(sku) => desk.shared.board.item(sku).and_then(|item: ItemIndex| facts.products.get(usize::from(item))),
    };
    match body {
        None => unknown(sku.unwrap_or_default()),
        Some(body) => {
            let mut answer = Response::new(Full::new(body.clone()));
            answer.headers_mut().insert(CONTENT_TYPE, JSON);
            answer.headers_mut().insert(CACHE_CONTROL, A_MINUTE);
            answer
        }
    }
}

/// `GET /readyz`: decisions reach this gateway.
pub fn ready(desk: &Desk) -> Answer {
    if desk.shared.board.fresh() {
        json(StatusCode::OK, r#"{"ready":true}"#.to_owned())
    } else {
        problem("overloaded", "no decision has come for a second", Some(1))
    }
}

/// 404 for an item.
pub fn unknown(sku: &str) -> Answer {
    problem("not_found", &format!("no item {sku} in this sale"), None)
}
