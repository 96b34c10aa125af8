//! A sale played by several processes of the real binary on real servers, and the shoppers who ask them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flashsale_engine::sale::{Folder, Frozen, Process, Services, read};
use flashsale_engine::token::{LOCAL_KID, Mint, new_secret};
use serde_json::Value;
use uuid::Uuid;

/// How long anything may take before the story fails: generous, because machines differ.
pub const PATIENCE: Duration = Duration::from_secs(90);
const OPERATOR: &str = "operator-token";
const NAME: &str = "played";

/// A sale of one item. Its limits are wide: a slow machine is not what these stories are about. Its servers are those of
/// the services file that the play writes.
const SALE: &str = "sale: played\nduration: 1h\nhold: 30m\n\
    items:\n  - { sku: S-1, stock: 2000, price: \"20.00 USD\", per_customer: 100 }\n\
    engine: { listen: \"127.0.0.1:0\", operator_listen: \"127.0.0.1:0\", reply_within: 1s }\n\
    admission: { overload: { max_queue_age: 2s } }\n\
    stack:\n  provider: external\n  external:\n    postgres: [ { env: POSTGRES } ]\n    redis: [ { env: REDIS } ]\n\
    \x20   kafka: { bootstrap: [ \"127.0.0.1:9092\" ] }\n";

/// The sale, its processes, and what they are asked with.
pub struct Play {
    pub folder: Folder,
    pub frozen: Frozen,
    state: tempfile::TempDir,
    token: String,
    http: reqwest::Client,
    cast: Vec<(String, Child)>,
}

/// What a shopper heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub status: u16,
    pub replayed: bool,
    pub body: Value,
}

impl Heard {
    pub fn reservation(&self) -> String {
        self.body["reservation_id"].as_str().unwrap_or_default().to_owned()
    }
}

impl Play {
    pub fn on(services: &Services) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::new(state.path().join(NAME));
        let frozen = Frozen {
            run: Uuid::now_v7(),
            frozen_at: jiff::Timestamp::now(),
            opens_at: None,
            rehearsal: false,
            source_hash: String::new(),
            definition: read(SALE, "sale.yaml", &[]).unwrap().definition,
        };
        std::fs::create_dir_all(folder.run(frozen.run)).unwrap();
        std::fs::create_dir_all(folder.path().join("logs")).unwrap();
        folder.write_frozen(&frozen).unwrap();
        let secret = new_secret();
        std::fs::write(folder.operator_token(), OPERATOR).unwrap();
        std::fs::write(folder.shopper_key(), &secret).unwrap();
        services.write(&folder.services()).unwrap();
        let token = Mint::new(NAME, LOCAL_KID, &secret).unwrap().token("alice", "new", 3_600).unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { folder, frozen, state, token, http, cast: Vec::new() }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command.args(words).stdin(Stdio::null()).env("FLASHSALE_STATE_DIR", self.state.path());
        command
    }

    /// Starts a process and waits until it says where it is.
    pub async fn enter(&mut self, role: &str, name: &str) -> Process {
        let folder = self.folder.path().display().to_string();
        let words = ["engine", "serve", "--folder", &folder, "--role", role, "--name", name];
        let mut child = self.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let process = loop {
            let said = self.folder.read_processes().into_iter().find(|process| process.pid == child.id());
            if let Some(process) = said {
                break process;
            }
            assert!(child.try_wait().unwrap().is_none(), "{name} ended: {}", self.log(name));
            assert!(begun.elapsed() < PATIENCE, "{name} does not serve: {}", self.log(name));
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        self.cast.push((name.to_owned(), child));
        process
    }

    /// Starts a process that is expected to end by itself.
    pub async fn attempt(&mut self, role: &str, name: &str) -> ExitStatus {
        let folder = self.folder.path().display().to_string();
        let words = ["engine", "serve", "--folder", &folder, "--role", role, "--name", name];
        let child = self.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.cast.push((name.to_owned(), child));
        self.exit(name).await
    }

    fn child(&mut self, name: &str) -> &mut Child {
        &mut self.cast.iter_mut().find(|(known, _)| known == name).expect("one of the cast").1
    }

    pub fn signal(&mut self, name: &str, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child(name));
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until a process has ended, and forgets it.
    pub async fn exit(&mut self, name: &str) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child(name).try_wait().unwrap() {
                self.cast.retain(|(known, _)| known != name);
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} does not end: {}", self.log(name));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines of a process's log.
    pub fn log(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.log(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Stops everyone in good order, gateways first, and holds the books to the log.
    pub async fn end(mut self) -> Value {
        self.cast.sort_by(|(one, _), (other, _)| other.cmp(one));
        let names: Vec<String> = self.cast.iter().map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.signal(name, rustix::process::Signal::TERM);
            let status = self.exit(name).await;
            assert!(status.success(), "{name}: {status}: {}", self.log(name));
        }
        self.audit()
    }

    /// `audit verify` passes; what it says.
    pub fn audit(&self) -> Value {
        let output = self.command(&["audit", "verify", NAME, "--output", "json"]).output().unwrap();
        let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{told}{wrong}");
        serde_json::from_str(told.lines().next().unwrap()).unwrap()
    }

    pub async fn change(&self, process: &Process, change: &str, id: &str) -> (u16, Value) {
        let url = format!("http://{}/v1/{change}", process.operator.unwrap());
        let body = serde_json::json!({ "id": id, "by": "ann", "reason": "the play", "all": false });
        let asked = self.http.post(url).bearer_auth(OPERATOR).json(&body).send().await.unwrap();
        (asked.status().as_u16(), asked.json().await.unwrap())
    }

    pub async fn status(&self, process: &Process) -> Option<Value> {
        let url = format!("http://{}/v1/status", process.operator.unwrap());
        self.http.get(url).bearer_auth(OPERATOR).send().await.ok()?.json().await.ok()
    }

    /// Arms the sale at a process and waits until each of these gateways sells.
    pub async fn open(&self, allocator: &Process, gateways: &[&Process]) {
        // Until the writer is seated it takes nothing; the id makes it one change however often it is asked for.
        self.until("the sale is armed", async || self.change(allocator, "arm", "arm").await.0 == 200).await;
        for gateway in gateways {
            let url = format!("http://{}/v1/skus/S-1/availability", gateway.listen.unwrap());
            self.until("a gateway sells", async || {
                let Ok(answer) = self.http.get(&url).send().await else { return false };
                answer.json::<Value>().await.is_ok_and(|page| page["status"] == "live")
            })
            .await;
        }
    }

    pub async fn until(&self, what: &str, reached: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !reached().await {
            let names: Vec<&str> = self.cast.iter().map(|(name, _)| name.as_str()).collect();
            let logs =
                || names.iter().map(|name| format!("{name}:\n{}", self.log(name))).collect::<Vec<_>>().join("\n");
            assert!(begun.elapsed() < PATIENCE, "not reached: {what}\n{}", logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One reserve; none: nobody answered.
    pub async fn reserve(&self, at: SocketAddr, key: &str) -> Option<Heard> {
        let url = format!("http://{at}/v1/skus/S-1/reserve");
        let asked = self.http.post(url).bearer_auth(&self.token).header("idempotency-key", key).send().await.ok()?;
        let (status, replayed) = (asked.status().as_u16(), asked.headers().contains_key("idempotency-replayed"));
        Some(Heard { status, replayed, body: asked.json().await.ok()? })
    }

    /// Asks under one key until it is granted; the same key never gets two.
    pub async fn granted(&self, at: SocketAddr, key: &str) -> Heard {
        let begun = Instant::now();
        loop {
            let heard = self.reserve(at, key).await;
            match heard {
                Some(heard) if heard.status == 201 => return heard,
                Some(Heard { status: 202 | 503, .. }) | None => {}
                Some(other) => panic!("{key}: {other:?}"),
            }
            assert!(begun.elapsed() < PATIENCE, "{key} is not granted: {heard:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn look(&self, at: SocketAddr, path: &str) -> (u16, Value) {
        let asked = self.http.get(format!("http://{at}{path}")).bearer_auth(&self.token).send().await.unwrap();
        (asked.status().as_u16(), asked.json().await.unwrap_or_default())
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        for (_, child) in &mut self.cast {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
