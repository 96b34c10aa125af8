//! HTTP for operators.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt};
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;

use super::changes::{Changes, Refused, word};
use super::prewarm::Prewarm;
use super::status::StatusSource;
use super::wire::{ChangeRequest, Frame, PrewarmRequest};
use crate::telemetry::prometheus;

/// Streams at once; beyond it 503.
const STREAMS: usize = 64;
/// The longest body of a change, bytes.
const BODY: usize = 16 << 10;

/// The longest prewarming.
const LONGEST_PREWARM: Duration = Duration::from_secs(60);

/// What the routes need.
pub struct Operator {
    /// Statuses.
    pub status: Arc<StatusSource>,
    /// Changes.
    pub changes: Changes,
    /// Warms this engine.
    pub prewarm: Prewarm,
    /// Frames, as they are made.
    pub frames: broadcast::Sender<Arc<Frame>>,
    /// The newest frame.
    pub newest: arc_swap::ArcSwapOption<Frame>,
    /// The token.
    pub token: String,
    /// Ends streams.
    pub stop: CancellationToken,
}

/// The router.
pub fn router(operator: Arc<Operator>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/stream", get(stream))
        .route("/metrics", get(metrics))
        .route("/v1/prewarm", post(prewarm))
        .route("/v1/{change}", post(change))
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&operator), authorize))
        .route("/healthz", get(|| async { r#"{"alive":true}"# }))
        .with_state(operator)
}

async fn authorize(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(operator.token.as_bytes())) {
        next.run(request).await
    } else {
        problem(StatusCode::UNAUTHORIZED, "unauthorized", "the operator's bearer token is required")
    }
}

async fn status(State(operator): State<Arc<Operator>>) -> Response {
    Json(operator.status.status()).into_response()
}

async fn prewarm(State(operator): State<Arc<Operator>>, Json(request): Json<PrewarmRequest>) -> Response {
    let within = Duration::from_millis(request.within_ms).min(LONGEST_PREWARM);
    match operator.prewarm.warm(within).await {
        Ok(warmed) => {
            tracing::info!(ticks = warmed.ticks, seconds = warmed.seconds, "prewarmed");
            Json(warmed).into_response()
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded", &error.to_string()),
    }
}

async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    match operator.newest.load_full() {
        Some(frame) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], prometheus::text(&frame)).into_response()
        }
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "nothing is measured yet"),
    }
}

async fn stream(State(operator): State<Arc<Operator>>) -> Response {
    if operator.frames.receiver_count() > STREAMS {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "64 streams are open already");
    }
    let frames = operator.frames.subscribe();
    Sse::new(events(frames, operator.stop.clone())).keep_alive(KeepAlive::default()).into_response()
}

/// Frames as events; a reader that is behind misses some, which their numbers show.
fn events(
    frames: broadcast::Receiver<Arc<Frame>>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> {
    BroadcastStream::new(frames)
        .filter_map(|frame| async move { Event::default().json_data(&*frame.ok()?).ok().map(Ok) })
        .take_until(stop.cancelled_owned())
}

async fn change(State(operator): State<Arc<Operator>>, Path(route): Path<String>, body: axum::body::Bytes) -> Response {
    let mut value: serde_json::Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "bad_request", &error.to_string()),
    };
    // The route names the change; the body may repeat it.
    if let Some(object) = value.as_object_mut() {
        object.insert("change".to_owned(), route.clone().into());
    }
    let request: ChangeRequest = match serde_json::from_value(value) {
        Ok(request) => request,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "bad_request", &error.to_string()),
    };
    tracing::info!(change = word(&request.change), by = request.by, reason = request.reason, "a change is asked for");
    match operator.changes.make(&request).await {
        Ok(changed) => Json(changed).into_response(),
        Err(Refused::BadRequest(why)) => problem(StatusCode::BAD_REQUEST, "bad_request", &why),
        Err(Refused::Conflict(code, why)) => problem(StatusCode::CONFLICT, code, &why),
        Err(Refused::Pending(why)) => problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded", &why),
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
