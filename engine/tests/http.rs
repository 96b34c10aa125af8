//! Bytes against a real listener: whatever is written, a shopper gets an answer that says what is wrong, and the next one
//! is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod served;

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use flashsale_engine::gateway::connection::Limits;
use flashsale_engine::token::{LOCAL_KID, Mint, new_secret};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use served::{Served, request};

/// A time limit that loopback never needs and a test can wait for.
const SHORT: Duration = Duration::from_millis(400);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A panic in a gateway's task ends its connection and nothing else: only this shows it.
fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        let engine = ["gateway", "writer", "tokio"].iter().any(|thread| name.starts_with(thread));
        PANICS.fetch_add(usize::from(engine), Ordering::Relaxed);
        before(panic);
    }));
}

/// What is wrong, the bytes, the status, the problem's code (empty: answered before there is a request to explain).
type Row = (&'static str, Vec<u8>, u16, &'static str);

fn row(what: &'static str, bytes: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Row {
    (what, bytes.into(), status, code)
}

/// Rows, each on a connection of its own; after each one the server answers the next shopper.
#[track_caller]
fn check(served: &Served, rows: Vec<Row>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(count_panics);
    let mut wrong = Vec::new();
    for (what, bytes, status, code) in rows {
        let mut client = served.connect();
        client.send(&bytes);
        match client.answer() {
            Some(answer) if answer.status == status && answer.code() == code => {}
            answer => wrong.push(format!("{what}: {status} {code} expected, got {answer:?}")),
        }
        assert_eq!(served.ask("GET", "/healthz", "", "").status, 200, "after {what}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_request_that_is_none_is_refused() {
    let served = Served::start(Limits::default());
    let get = |lines: &str| format!("GET /v1/skus HTTP/1.1\r\n{lines}\r\n");
    let many: String = (0..70).map(|number| format!("x-{number}: 1\r\n")).collect();
    check(
        &served,
        vec![
            row("no version", "GET /v1/skus\r\n\r\n", 400, ""),
            row("a version to come", "GET /v1/skus HTTP/3.0\r\nhost: shop\r\n\r\n", 400, ""),
            row("two spaces in the line", "GET /v1/ skus HTTP/1.1\r\nhost: shop\r\n\r\n", 400, ""),
            row("no letters in the method", "G\0T /v1/skus HTTP/1.1\r\nhost: shop\r\n\r\n", 400, ""),
            row("TLS where none is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, ""),
            row("bytes of nothing", vec![0xff; 64], 400, ""),
            row("a header without a colon", get("host: shop\r\nnonsense\r\n"), 400, ""),
            row("a space before the colon", get("host : shop\r\n"), 400, ""),
            row("a folded header", get("host: shop\r\nx: a\r\n b\r\n"), 400, ""),
            row("a NUL in a header", get("host: shop\r\nx: a\0b\r\n"), 400, ""),
            row("no Host", get(""), 400, "bad_request"),
            row("an empty Host", get("host:\r\n"), 400, "bad_request"),
            row("two Hosts", get("host: shop\r\nhost: other\r\n"), 400, "bad_request"),
            row("a Host that is none", get("host: sh/op\r\n"), 400, "bad_request"),
            row("a header beyond 16 KiB", get(&format!("host: shop\r\nx: {}\r\n", "a".repeat(17_000))), 431, ""),
            row("a path beyond 16 KiB", format!("GET /{} HTTP/1.1\r\nhost: shop\r\n\r\n", "a".repeat(17_000)), 431, ""),
            row("more than 64 headers", get(&format!("host: shop\r\n{many}")), 431, ""),
            row("a sound one", get("host: shop\r\n"), 200, ""),
            row("a sound one of old", "GET /v1/skus HTTP/1.0\r\n\r\n", 200, ""),
            row("a whole address", "GET http://shop/v1/skus HTTP/1.1\r\nhost: shop\r\n\r\n", 200, ""),
        ],
    );
    served.stop();
}

#[test]
fn a_body_is_small_whole_and_of_one_length() {
    let served = Served::start(Limits::default());
    let token = served.token();
    let reserve = |rest: &str| {
        format!("POST /v1/skus/S-1/reserve HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\n{rest}")
    };
    let chunked = |chunks: &str| reserve(&format!("transfer-encoding: chunked\r\n\r\n{chunks}"));
    let large = "x".repeat(8_193);
    check(
        &served,
        vec![
            row("no number", reserve("content-length: ten\r\n\r\n"), 400, ""),
            row("below zero", reserve("content-length: -1\r\n\r\n"), 400, ""),
            row("with a sign", reserve("content-length: +2\r\n\r\n{}"), 400, ""),
            row("beyond counting", reserve("content-length: 99999999999999999999999\r\n\r\n"), 400, ""),
            row("two lengths", reserve("content-length: 2\r\ncontent-length: 3\r\n\r\n{} "), 400, ""),
            row("two lengths in one", reserve("content-length: 2, 3\r\n\r\n{} "), 400, ""),
            row("an encoding that is not chunked", reserve("transfer-encoding: gzip\r\n\r\n"), 400, ""),
            row("chunked, then something else", reserve("transfer-encoding: chunked, gzip\r\n\r\n"), 400, ""),
            row("a chunk of no length", chunked("zz\r\n{}\r\n0\r\n\r\n"), 400, "bad_request"),
            row("a chunk longer than it says", chunked("1\r\n{}\r\n0\r\n\r\n"), 400, "bad_request"),
            row("more than 8 KiB", reserve(&format!("content-length: 8193\r\n\r\n{large}")), 413, "body_too_large"),
            row("more than 8 KiB in chunks", chunked(&format!("2001\r\n{large}\r\n0\r\n\r\n")), 413, "body_too_large"),
            row("more than 8 KiB announced", reserve("content-length: 1000000\r\n\r\n"), 413, "body_too_large"),
            row("no JSON", reserve("content-length: 4\r\n\r\nwait"), 400, "bad_request"),
            row("half a JSON", reserve("content-length: 9\r\n\r\n{\"wait\": "), 400, "bad_request"),
            row("JSON of another kind", reserve("content-length: 12\r\n\r\n{\"wait\": 17}"), 400, "bad_request"),
            row("an unknown key", reserve("content-length: 9\r\n\r\n{\"say\":1}"), 400, "bad_request"),
            row(
                "not UTF-8",
                [reserve("content-length: 2\r\n\r\n").as_bytes(), b"\xff\xfe"].concat(),
                400,
                "bad_request",
            ),
            row("a sound one", reserve("content-length: 2\r\n\r\n{}"), 409, "not_open"),
            row("a sound one in chunks", chunked("5\r\n{\"wai\r\n9\r\nt\":false}\r\n0\r\n\r\n"), 409, "not_open"),
            row(
                "a sound one on demand",
                reserve("expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}"),
                409,
                "not_open",
            ),
        ],
    );
    served.stop();
}

#[test]
fn two_lengths_of_one_body_let_nothing_in_behind_it() {
    let served = Served::start(Limits::default());
    let smuggled = "GET /v1/skus/S-1 HTTP/1.1\r\nhost: shop\r\n\r\n";
    for order in
        ["content-length: 4\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 4\r\n"]
    {
        let mut client = served.connect();
        let head = format!("POST /v1/skus/S-1/reserve HTTP/1.1\r\nhost: shop\r\n{order}\r\n");
        client.send(format!("{head}0\r\n\r\n{smuggled}").as_bytes());
        assert_eq!(client.answer().map(|answer| answer.status), Some(401), "{order}");
        assert_eq!(client.answer(), None, "{order}: the connection ends, RFC 9112 6.1");
    }
    served.stop();
}

#[test]
fn paths_and_methods_lead_somewhere_or_say_where() {
    let served = Served::start(Limits::default());
    let sound = |method: &str, path: &str| request(method, path, "", "");
    check(
        &served,
        vec![
            row("no such path", sound("GET", "/"), 404, "not_found"),
            row("no such item", sound("GET", "/v1/skus/S-2/availability"), 404, "not_found"),
            row("dots", sound("GET", "/v1/skus/../skus"), 404, "not_found"),
            row("an escape that is none", sound("GET", "/v1/skus/%zz"), 404, "not_found"),
            row("a proxy's word", "CONNECT shop:443 HTTP/1.1\r\nhost: shop:443\r\n\r\n", 404, "not_found"),
            row("another method", sound("PUT", "/v1/skus/S-1/reserve"), 405, "method_not_allowed"),
            row("a made-up method", sound("BREW", "/v1/skus"), 405, "method_not_allowed"),
            row("a question", sound("GET", "/v1/skus/S-1/availability?x=1"), 200, ""),
        ],
    );
    let allow = |method: &str, path: &str| served.ask(method, path, "", "").header("allow").map(str::to_owned);
    assert_eq!(allow("GET", "/v1/skus/S-1/reserve").as_deref(), Some("POST"));
    assert_eq!(allow("POST", "/v1/skus").as_deref(), Some("GET, HEAD"));
    assert_eq!(allow("PUT", "/v1/reservations/r-1").as_deref(), Some("GET, DELETE, HEAD"));
    let mut client = served.connect();
    client.send(request("HEAD", "/v1/skus/S-1/availability", "", "").as_bytes());
    client.send(request("GET", "/v1/skus/S-1/availability", "", "").as_bytes());
    let (head, get) = (client.answer_to("HEAD").unwrap(), client.answer().unwrap());
    assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")));
    assert!(get.body.starts_with('{'), "HEAD's answer has no body in the way: {}", get.body);
    served.stop();
}

#[test]
fn browsers_of_the_shop_may_ask_and_read_refusals() {
    let served = Served::start(Limits::default());
    let from = |origin: &str| format!("origin: {origin}\r\naccess-control-request-method: POST\r\n");
    let asked = |method: &str, path: &str, origin: &str| served.ask(method, path, &from(origin), "");
    let shop = "https://shop.example";
    let preflight = asked("OPTIONS", "/v1/skus/S-1/reserve", shop);
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some(shop)));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert_eq!(
        asked("OPTIONS", "/v1/skus/S-1/reserve", "https://other.example").header("access-control-allow-origin"),
        None
    );
    for (method, path, status) in [
        ("GET", "/v1/skus", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/skus", 405),
        ("POST", "/v1/skus/S-1/reserve", 401),
    ] {
        let answer = asked(method, path, shop);
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (status, Some(shop)),
            "{method} {path}"
        );
    }
    served.stop();
}

#[test]
fn only_a_token_of_this_sale_lets_in() {
    let served = Served::start(Limits::default());
    let mint = |audience: &str, kid: &str, secret: &str| Mint::new(audience, kid, secret).unwrap();
    let signed = |algorithm: Algorithm, expires: i64| {
        let header = Header { kid: Some(LOCAL_KID.to_owned()), ..Header::new(algorithm) };
        let expires = jiff::Timestamp::now().as_second() + expires;
        let claims = serde_json::json!({ "sub": "alice", "aud": "drop", "exp": expires });
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_base64_secret(&served.secret).unwrap()).unwrap()
    };
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let unsigned = format!("{}.{}.", part(r#"{"alg":"none","kid":"local"}"#), part(r#"{"sub":"alice","aud":"drop"}"#));
    let good = served.token();
    let own = mint("drop", LOCAL_KID, &served.secret);
    let with = |header: &str| request("POST", "/v1/skus/S-1/reserve", &format!("authorization: {header}\r\n"), "{}");
    let bearer = |token: &str| with(&format!("Bearer {token}"));
    let other_sale = mint("other", LOCAL_KID, &served.secret).token("alice", "new", 60).unwrap();
    let other_key = mint("drop", "stranger", &served.secret).token("alice", "new", 60).unwrap();
    let forged = mint("drop", LOCAL_KID, &new_secret()).token("alice", "new", 60).unwrap();
    check(
        &served,
        vec![
            row("none", request("POST", "/v1/skus/S-1/reserve", "", "{}"), 401, "unauthorized"),
            row("another scheme", with("Basic YWxpY2U6"), 401, "unauthorized"),
            row("no token behind the word", with("Bearer "), 401, "unauthorized"),
            row("no JWT", bearer("alice"), 401, "unauthorized"),
            row("unsigned", bearer(&unsigned), 401, "unauthorized"),
            row("the key's other algorithm", bearer(&signed(Algorithm::HS384, 60)), 401, "unauthorized"),
            row("expired", bearer(&signed(Algorithm::HS256, -60)), 401, "unauthorized"),
            row("for ever", bearer(&signed(Algorithm::HS256, 90_000)), 401, "unauthorized"),
            row("of another sale", bearer(&other_sale), 401, "unauthorized"),
            row("of an unknown key", bearer(&other_key), 401, "unauthorized"),
            row("forged", bearer(&forged), 401, "unauthorized"),
            row("cut", bearer(&good[..good.len() - 4]), 401, "unauthorized"),
            row("of nobody", bearer(&own.token("", "new", 60).unwrap()), 401, "unauthorized"),
            row("longer than 1 KiB", bearer(&own.token(&"a".repeat(900), "new", 60).unwrap()), 401, "unauthorized"),
            row("expired within the leeway", bearer(&signed(Algorithm::HS256, -5)), 409, "not_open"),
            row("sound", bearer(&good), 409, "not_open"),
            row("sound, the scheme in capitals", with(&format!("BEARER {good}")), 409, "not_open"),
        ],
    );
    let refused = served.ask("POST", "/v1/skus/S-1/reserve", "", "");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    served.stop();
}

#[test]
fn an_idempotency_key_is_one_short_visible_word() {
    let served = Served::start(Limits::default());
    let token = served.token();
    let with = |keys: &[u8]| {
        let head = format!("POST /v1/skus/S-1/reserve HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\n");
        [head.as_bytes(), keys, b"\r\n"].concat()
    };
    let key = |key: &str| with(format!("idempotency-key: {key}\r\n").as_bytes());
    check(
        &served,
        vec![
            row("empty", key(""), 400, "bad_request"),
            row("65 letters", key(&"k".repeat(65)), 400, "bad_request"),
            row("a space inside", key("a b"), 400, "bad_request"),
            row("not ASCII", key("schlüssel"), 400, "bad_request"),
            row("no text at all", with(b"idempotency-key: \xff\xfe\r\n"), 400, "bad_request"),
            row("two", with(b"idempotency-key: a\r\nidempotency-key: b\r\n"), 400, "bad_request"),
            row("64 letters", key(&"k".repeat(64)), 409, "not_open"),
        ],
    );
    served.stop();
}

#[test]
fn requests_in_one_breath_are_answered_in_their_order() {
    let served = Served::start(Limits::default());
    served.open();
    let token = served.token();
    let authorized = format!("authorization: Bearer {token}\r\nidempotency-key: once\r\n");
    // The reserve takes the log's way and back; what follows it waits its turn.
    let breath = [
        request("GET", "/healthz", "", ""),
        request("POST", "/v1/skus/S-1/reserve", &authorized, "{}"),
        request("GET", "/nothing", "", ""),
        request("POST", "/v1/skus/S-1/reserve", &authorized, ""),
        request("DELETE", "/v1/skus", "", ""),
        request("GET", "/v1/skus/S-1", "", ""),
        "GET /v1/skus\r\n\r\n".to_owned(),
        request("GET", "/healthz", "", ""),
    ];
    let mut client = served.connect();
    client.send(breath.concat().as_bytes());
    let answers: Vec<_> = std::iter::from_fn(|| client.answer()).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 201, 404, 201, 405, 200, 400], "nothing is read behind what is no request");
    assert_eq!(answers[1].body, answers[3].body, "the same request");
    assert_eq!(answers[3].header("idempotency-replayed"), Some("true"));
    served.stop();
}

#[test]
fn who_asks_and_never_reads_is_not_answered_without_bound() {
    let served = Served::start(Limits::default());
    let ask = request("GET", "/openapi.json", "", "");
    let mut client = served.connect();
    let sent = client.send_until_full(ask.repeat(1_000).as_bytes(), 64 << 20);
    assert!(sent < 64 << 20, "the server reads on while nobody reads its answers");
    for _ in 0..100 {
        assert_eq!(client.answer().expect("an answer").status, 200, "what was answered is still there");
    }
    drop(client);
    served.stop();
}

#[test]
fn who_sends_slowly_is_not_waited_for() {
    let served = Served::start(Limits { arrive: SHORT, ..Limits::default() });
    for (what, bytes) in
        [("nothing", ""), ("half a line", "GET /v1/sk"), ("half a head", "GET /v1/skus HTTP/1.1\r\nhost: sh")]
    {
        let mut client = served.connect();
        client.send(bytes.as_bytes());
        assert_eq!(client.answer(), None, "{what}: the connection is closed");
    }
    let mut client = served.connect();
    client.send(b"POST /v1/skus/S-1/reserve HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\n\r\n{\"wa");
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
    assert_eq!(client.answer(), None, "the rest of the body is not taken for a request");
    served.stop();
}

#[test]
fn a_thread_has_so_many_connections_and_says_so() {
    let served = Served::start(Limits { connections: 3, ..Limits::default() });
    // Each has been answered: the server knows of all three.
    let mut clients: Vec<_> = (0..3).map(|_| served.connect()).collect();
    for client in &mut clients {
        loop {
            client.send(request("GET", "/healthz", "", "").as_bytes());
            match client.answer() {
                Some(answer) if answer.status == 200 => break,
                // A connection of the story's beginning is still being closed.
                _ => *client = served.connect(),
            }
        }
    }
    let refused = served.connect().answer().expect("an answer before any request");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    clients[0].send(request("GET", "/healthz", "", "").as_bytes());
    assert_eq!(clients[0].answer().expect("an answer").status, 200, "who is in stays in");
    drop(clients.pop());
    let begun = std::time::Instant::now();
    while served.ask("GET", "/healthz", "", "").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "a place that was left stays taken");
    }
    served.stop();
}
