//! A whole engine over a temporary folder, and clients that write bytes.
#![allow(dead_code)] // each story uses a part

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flashsale_engine::compose::{ServeError, Serving, serve};
use flashsale_engine::gateway::connection::Limits;
use flashsale_engine::sale::{Addresses, Folder, Frozen, read};
use flashsale_engine::token::{LOCAL_KID, Mint, new_secret};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take before the story fails.
const PATIENCE: Duration = Duration::from_secs(60);
const OPERATOR: &str = "operator-token";

/// The sale that is served: not armed, so that a sound reserve is answered `not_open`.
pub const SALE: &str = "sale: drop\nitems:\n  - { sku: S-1, stock: 100, price: \"20.00 USD\" }\n\
    engine:\n  listen: \"127.0.0.1:0\"\n  operator_listen: \"127.0.0.1:0\"\n  cors: { origins: [\"https://shop.example\"] }\n\
    slo: { write: { p95: 30s } }\nadmission: { overload: { max_queue_age: 30s } }\n";

pub struct Served {
    pub addresses: Addresses,
    pub secret: String,
    _folder: tempfile::TempDir,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Served {
    pub fn start(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path().to_path_buf());
        let secret = new_secret();
        let frozen = Frozen {
            run: Uuid::now_v7(),
            frozen_at: jiff::Timestamp::now(),
            opens_at: None,
            rehearsal: false,
            source_hash: String::new(),
            definition: read(SALE, "sale.yaml", &[]).unwrap().definition,
        };
        std::fs::create_dir_all(folder.run(frozen.run)).unwrap();
        folder.write_frozen(&frozen).unwrap();
        std::fs::write(folder.operator_token(), OPERATOR).unwrap();
        std::fs::write(folder.shopper_key(), &secret).unwrap();
        let stop = CancellationToken::new();
        let (served, stopped) = (folder.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(serve(Serving { limits, ..Serving::all(served) }, stopped))
        });
        let begun = Instant::now();
        let addresses = loop {
            assert!(!thread.is_finished(), "the engine ended: {:?}", thread.join().unwrap());
            if let Ok(text) = std::fs::read(folder.addresses()) {
                break serde_json::from_slice(&text).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "the engine does not serve");
            std::thread::sleep(Duration::from_millis(5));
        };
        let served = Self { addresses, secret, _folder: directory, stop, thread: Some(thread) };
        served.until("a decision has come", |served| served.ask("GET", "/readyz", "", "").status == 200);
        served
    }

    /// A token for a shopper of this sale.
    pub fn token(&self) -> String {
        Mint::new("drop", LOCAL_KID, &self.secret).unwrap().token("alice", "new", 600).unwrap()
    }

    pub fn connect(&self) -> Client {
        Client::to(self.addresses.listen)
    }

    /// One sound request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut client = self.connect();
        client.send(request(method, path, headers, body).as_bytes());
        client.answer().expect("an answer")
    }

    /// Arms the sale; without an opening time it opens at once.
    pub fn open(&self) {
        let body = r#"{"id":"arm-1","by":"ann","reason":"ready","change":"arm"}"#;
        let mut client = Client::to(self.addresses.operator);
        client.send(
            request(
                "POST",
                "/v1/arm",
                &format!("authorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\n"),
                body,
            )
            .as_bytes(),
        );
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.until("the sale is open", |served| {
            served.ask("GET", "/v1/skus/S-1/availability", "", "").body.contains("\"live\"")
        });
    }

    fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !reached(self) {
            assert!(begun.elapsed() < PATIENCE, "not reached: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A graceful stop, which must find everything in order.
    pub fn stop(mut self) {
        self.stop.cancel();
        self.thread.take().unwrap().join().expect("no panic").expect("a graceful stop");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request as bytes.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nhost: shop\r\n{headers}{length}\r\n{body}")
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The problem's code; empty when the answer is none.
    pub fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A connection that writes what it is told and reads answers in order.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// The server may have hung up already: what it said before is still there to be read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends the same again until the server takes no more, or `most` bytes have gone.
    pub fn send_until_full(&mut self, bytes: &[u8], most: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut sent = 0;
        while sent < most {
            match self.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        sent
    }

    /// The next answer with its body; none: the server closed the connection.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET")
    }

    /// An answer to `HEAD` announces a body and has none.
    pub fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            match self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if self.more() => {}
                None => return None,
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        if status == 100 {
            return self.answer_to(method);
        }
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method != "HEAD" {
            while self.read.len() < length {
                assert!(self.more(), "the body ends early");
            }
            answer.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        }
        Some(answer)
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 4_096];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer and no end"),
            // Closed with bytes unread: a reset.
            Err(_) => false,
        }
    }
}
