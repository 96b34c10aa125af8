//! Sockets: one listener a thread, every limit a named one, a stop that answers who waits.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, HOST, HeaderValue, ORIGIN, VARY};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::Desk;
use super::lines::Line;
use super::problem::{Answer, json, problem};
use super::routes::{Found, Route, find};
use super::socket::Together;
use super::{availability, checkout, reservations, reserve};

/// Header bytes of one request; beyond it 431.
const HEADER_BYTES: usize = 16 << 10;
/// Header lines of one request; beyond it 431.
const HEADERS: usize = 64;
/// Body bytes of one request; beyond it 413.
const BODY_BYTES: usize = 8 << 10;
/// How long a stop waits for answers that are on their way.
const DRAIN: Duration = Duration::from_secs(5);
/// How long, and through how much more, the client of a finished connection may read its last answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// What a thread grants its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of one thread; beyond it a new one is told 503 and closed.
    pub connections: u64,
    /// How long a request's head may take to arrive, and its body again as long; also how long a connection may idle,
    /// and its client leave answers unread.
    pub arrive: Duration,
}

impl Default for Limits {
    /// The customer's 10 s against slow senders.
    fn default() -> Self {
        Self { connections: 16_384, arrive: Duration::from_secs(10) }
    }
}

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
    let silence = desk.lines.watch(desk.shared.facts.limits.arrive);
    tokio::pin!(silence);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut silence => break,
            () = stop.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: the ones in use must end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if desk.gauges.connections.load(Relaxed) >= desk.shared.facts.limits.connections {
            tell_full(stream);
            continue;
        }
        let _ = stream.set_nodelay(true);
        let desk = Rc::clone(&desk);
        tokio::task::spawn_local(open.track_future(async move {
            desk.gauges.connections.fetch_add(1, Relaxed);
            let line = desk.lines.open();
            converse(stream, &desk, &line).await;
            desk.lines.close(&line);
            desk.gauges.connections.fetch_sub(1, Relaxed);
        }));
    }
    desk.lines.stop();
    open.close();
    let _ = tokio::time::timeout(DRAIN, open.wait()).await;
}

/// Writes to the socket itself: the runtime does not know yet that a new one can be written to.
fn tell_full(stream: TcpStream) {
    use std::io::Write as _;
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(FULL);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

async fn converse(stream: TcpStream, desk: &Rc<Desk>, line: &Rc<Line>) {
    let service = service_fn(|request| answering(desk, line, request));
    let mut connection = http1::Builder::new()
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(Together::new(stream), service);
    let mut told = false;
    poll_fn(|context| {
        if line.is_cut(context) {
            return Poll::Ready(());
        }
        if desk.lines.stopping() && !told {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        // A broken connection is its client's affair.
        Pin::new(&mut connection).poll(context).map(|_| ())
    })
    .await;
    if !told {
        linger(connection.into_parts().io.into_inner()).await;
    }
}

/// An answer, most often there already: what has to be waited for is large, and lives apart.
enum Answering {
    Now(Option<Answer>),
    Later(Pin<Box<dyn Future<Output = Answer>>>),
}

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(answer) => answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Self::Later(answer) => answer.as_mut().poll(context).map(Ok),
        }
    }
}

fn answering(desk: &Rc<Desk>, line: &Rc<Line>, request: Request<Incoming>) -> Answering {
    desk.lines.begin(line);
    if request.method() == Method::GET
        && request.body().is_end_stream()
        && let Found::Route(Route::Availability, sku) = find(request.method(), request.uri().path())
        && one_host(line, request.version(), request.headers())
        && desk.shared.board.fresh()
    {
        let begun = Instant::now();
        let mut answer = availability::remembered(desk, request.headers(), sku);
        count(desk, Route::Availability, &answer, begun);
        allow_origin(desk, request.headers(), &mut answer);
        desk.lines.end(line);
        return Answering::Now(Some(answer));
    }
    let (desk, line) = (Rc::clone(desk), Rc::clone(line));
    Answering::Later(Box::pin(async move {
        let answer = answer(&desk, &line, request).await;
        desk.lines.end(&line);
        answer
    }))
}

/// A socket that is closed with bytes unread is reset, and the reset may overtake the last answer: what the client still
/// sends is thrown away until it has closed too.
async fn linger(mut stream: TcpStream) {
    let mut unread = [0; 4_096];
    let thrown_away = async {
        let mut left = LINGER_BYTES;
        while let Ok(count @ 1..) = stream.read(&mut unread).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, thrown_away).await;
}

async fn answer(desk: &Rc<Desk>, line: &Line, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let mut answer = if !one_host(line, head.version, &head.headers) {
        problem("bad_request", "HTTP/1.1 takes one Host header with a host in it", None)
    } else if head.method == Method::OPTIONS && !desk.shared.facts.origins.is_empty() {
        preflight()
    } else {
        match find(&head.method, head.uri.path()) {
            Found::Route(route, parameter) => routed(desk, &head, route, parameter, body).await,
            Found::OtherMethod(methods) => other_method(methods),
            Found::Nothing => problem("not_found", "no such path; see /openapi.json", None),
        }
    };
    allow_origin(desk, &head.headers, &mut answer);
    answer
}

/// RFC 9112, 3.2: without exactly one valid host, two servers on the way may take one request for different ones.
fn one_host(line: &Line, version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => {
            let mut known = line.host.borrow_mut();
            if *known == host.as_bytes() && !known.is_empty() {
                return true;
            }
            let valid = host.to_str().is_ok_and(|host| host.parse::<Authority>().is_ok());
            if valid {
                known.clear();
                known.extend_from_slice(host.as_bytes());
            }
            valid
        }
        _ => false,
    }
}

async fn routed(desk: &Rc<Desk>, head: &Parts, route: Route, parameter: &str, body: Incoming) -> Answer {
    let begun = Instant::now();
    let answer = match read(body, desk.shared.facts.limits.arrive).await {
        Ok(body) => dispatch(desk, head, route, parameter, &body).await,
        Err(answer) => answer,
    };
    count(desk, route, &answer, begun);
    answer
}

async fn dispatch(desk: &Rc<Desk>, head: &Parts, route: Route, parameter: &str, body: &[u8]) -> Answer {
    match route {
        Route::Availability => availability::availability(desk, &head.headers, parameter).await,
        Route::Reserve => reserve::reserve(desk, &head.headers, parameter, body).await,
        Route::Products => availability::products(desk, None),
        Route::Product => availability::products(desk, Some(parameter)),
        Route::Request => reservations::request(desk, &head.headers, parameter).await,
        Route::Reservation => reservations::reservation(desk, &head.headers, parameter).await,
        Route::Cancel => reservations::cancel(desk, &head.headers, parameter).await,
        Route::Claim => reservations::claim(desk, &head.headers, parameter).await,
        Route::Checkout => checkout::checkout(desk, &head.headers, parameter, body).await,
        Route::OpenApi => json(StatusCode::OK, String::from_utf8_lossy(&desk.shared.facts.openapi).into_owned()),
        Route::Healthz => json(StatusCode::OK, r#"{"alive":true}"#.to_owned()),
        Route::Readyz => availability::ready(desk),
    }
}

fn count(desk: &Desk, route: Route, answer: &Answer, begun: Instant) {
    let status = answer.status().as_u16();
    if status == 503 && desk.shared.gate.why().is_some_and(|gate| !gate.invariant) {
        desk.gauges.halted.fetch_add(1, Relaxed);
    }
    desk.gauges.answered(route, status, begun.elapsed());
}

/// A whole body, small and in time; most requests have none.
async fn read(body: Incoming, within: Duration) -> Result<bytes::Bytes, Answer> {
    if body.is_end_stream() {
        return Ok(bytes::Bytes::new());
    }
    let too_large = || problem("body_too_large", "a body takes at most 8 KiB", None);
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(within, Limited::new(body, BODY_BYTES).collect()).await {
        Err(_) => Err(problem("request_timeout", "the body took too long to arrive", None)),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(problem("bad_request", &format!("the body is broken: {error}"), None)),
    }
}

fn other_method(mut methods: Vec<Method>) -> Answer {
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let mut answer = problem("method_not_allowed", &format!("this path takes {}", allowed.join(", ")), None);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

fn origin<'a>(desk: &Desk, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    if desk.shared.facts.origins.is_empty() {
        return None;
    }
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

fn preflight() -> Answer {
    let mut answer = Response::new(Full::new(bytes::Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let fields = answer.headers_mut();
    fields.insert("access-control-allow-methods", HeaderValue::from_static("GET, POST, DELETE"));
    fields.insert(
        "access-control-allow-headers",
        HeaderValue::from_static("authorization, content-type, idempotency-key"),
    );
    fields.insert("access-control-max-age", HeaderValue::from_static("600"));
    answer
}
