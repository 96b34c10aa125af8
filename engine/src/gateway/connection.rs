//! Sockets: one listener a thread, every limit a named one, a stop that answers who waits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, HeaderValue, ORIGIN, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::Desk;
use super::problem::{Answer, json, problem};
use super::routes::{Found, Route, find};
use super::{availability, checkout, reservations, reserve};

/// Connections of one thread; beyond it a new one is told 503 and closed.
const CONNECTIONS: u64 = 16_384;
/// Header bytes of one request; beyond it 431.
const HEADER_BYTES: usize = 16 << 10;
/// Header lines of one request; beyond it 431.
const HEADERS: usize = 64;
/// Body bytes of one request; beyond it 413.
const BODY_BYTES: usize = 8 << 10;
/// How long a request may take to arrive: the customer's 10 s against slow senders.
const ARRIVE: Duration = Duration::from_secs(10);
/// How long a stop waits for answers that are on their way.
const DRAIN: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A listener that shares its address with those of the other threads.
///
/// # Errors
/// The system's, `AddrInUse` among them.
pub fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until `stop`, then lets open connections finish. Runs on a local task set.
pub async fn serve(listener: TcpListener, desk: Rc<Desk>, stop: CancellationToken) {
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: the ones in use must end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if desk.gauges.connections.load(Relaxed) >= CONNECTIONS {
            let _ = stream.try_write(FULL);
            continue;
        }
        let _ = stream.set_nodelay(true);
        let (desk, stop) = (Rc::clone(&desk), stop.clone());
        tokio::task::spawn_local(open.track_future(async move {
            desk.gauges.connections.fetch_add(1, Relaxed);
            converse(stream, &desk, &stop).await;
            desk.gauges.connections.fetch_sub(1, Relaxed);
        }));
    }
    open.close();
    let _ = tokio::time::timeout(DRAIN, open.wait()).await;
}

async fn converse(stream: TcpStream, desk: &Rc<Desk>, stop: &CancellationToken) {
    let service = service_fn(|request| {
        let desk = Rc::clone(desk);
        async move { Ok::<_, Infallible>(answer(&desk, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVE)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is its client's affair.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(DRAIN, connection).await;
        }
    }
}

async fn answer(desk: &Rc<Desk>, request: Request<Incoming>) -> Answer {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS && !desk.shared.facts.origins.is_empty() {
        return preflight(desk, &head.headers);
    }
    let (route, parameter) = match find(&head.method, head.uri.path()) {
        Found::Route(route, parameter) => (route, parameter),
        Found::OtherMethod(methods) => return other_method(&methods),
        Found::Nothing => return problem("not_found", "no such path; see /openapi.json", None),
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(answer) => {
            desk.gauges.answered(route, answer.status().as_u16(), begun.elapsed());
            return answer;
        }
    };
    let mut answer = match route {
        Route::Availability => availability::availability(desk, &head.headers, parameter),
        Route::Reserve => reserve::reserve(desk, &head.headers, parameter, &body).await,
        Route::Products => availability::products(desk, None),
        Route::Product => availability::products(desk, Some(parameter)),
        Route::Request => reservations::request(desk, &head.headers, parameter).await,
        Route::Reservation => reservations::reservation(desk, &head.headers, parameter).await,
        Route::Cancel => reservations::cancel(desk, &head.headers, parameter).await,
        Route::Claim => reservations::claim(desk, &head.headers, parameter).await,
        Route::Checkout => checkout::checkout(desk, &head.headers, parameter, &body).await,
        Route::OpenApi => json(StatusCode::OK, String::from_utf8_lossy(&desk.shared.facts.openapi).into_owned()),
        Route::Healthz => json(StatusCode::OK, r#"{"alive":true}"#.to_owned()),
        Route::Readyz => availability::ready(desk),
    };
    allow_origin(desk, &head.headers, &mut answer);
    count(desk, route, &answer, begun);
    answer
}

fn count(desk: &Desk, route: Route, answer: &Answer, begun: Instant) {
    let status = answer.status().as_u16();
    if status == 503 && desk.shared.gate.why().is_some_and(|gate| !gate.invariant) {
        desk.gauges.halted.fetch_add(1, Relaxed);
    }
    desk.gauges.answered(route, status, begun.elapsed());
}

/// A whole body, small and in time; most requests have none.
async fn read(body: Incoming) -> Result<bytes::Bytes, Answer> {
    if hyper::body::Body::is_end_stream(&body) {
        return Ok(bytes::Bytes::new());
    }
    match tokio::time::timeout(ARRIVE, Limited::new(body, BODY_BYTES).collect()).await {
        Err(_) => Err(problem("request_timeout", "the body took longer than 10 s", None)),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(problem("body_too_large", "a body takes at most 8 KiB", None))
        }
        Ok(Err(error)) => Err(problem("bad_request", &format!("the body is broken: {error}"), None)),
    }
}

fn other_method(methods: &[Method]) -> Answer {
    let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let mut answer = problem("method_not_allowed", &format!("this path takes {}", allowed.join(", ")), None);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

fn origin<'a>(desk: &Desk, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let allowed = desk.shared.facts.origins.iter().any(|known| known == "*" || origin == known.as_str());
    allowed.then_some(origin)
}

fn allow_origin(desk: &Desk, headers: &HeaderMap, answer: &mut Answer) {
    if let Some(origin) = origin(desk, headers) {
        answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    }
}

fn preflight(desk: &Desk, headers: &HeaderMap) -> Answer {
    let mut answer = Response::new(Full::new(bytes::Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    allow_origin(desk, headers, &mut answer);
    let fields = answer.headers_mut();
    fields.insert("access-control-allow-methods", HeaderValue::from_static("GET, POST, DELETE"));
    fields.insert(
        "access-control-allow-headers",
        HeaderValue::from_static("authorization, content-type, idempotency-key"),
    );
    fields.insert("access-control-max-age", HeaderValue::from_static("600"));
    answer
}
