//! Availability reads beside nginx that serves the same bytes: each alone on the first core, `wrk` on the second, in
//! turns, without pipelining. `cargo bench -p flashsale --bench availability`; about a minute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod rows;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rows::{Goal, Rows};

/// Turns of each, alternating; the median counts.
const TURNS: usize = 7;
/// Seconds of a turn.
const SECONDS: u32 = 3;
/// Connections that `wrk` keeps busy.
const CONNECTIONS: u32 = 64;
const PATH: &str = "/v1/skus/SNKR-1/availability";
const HOW: &str = "median of 7 turns of 3 s each, one core each, wrk -t1 -c64 on the other, no pipelining";

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let mut rows = Rows::of("availability");
    let missing: Vec<&str> = ["nginx", "wrk", "taskset"].into_iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        return rows.not_measured("availability, ours / nginx", &format!("{} missing", missing.join(" and ")));
    }
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(folder.path());
    let bytes = fetch(engine.address);
    let nginx = Nginx::start(folder.path(), &bytes);
    assert_eq!(bytes.same(), fetch(nginx.address).same(), "both serve the same bytes");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(turn(engine.address, engine.pid));
        theirs.push(turn(nginx.address, nginx.worker()));
    }
    let of = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let ratio = |value: fn(&Turn) -> f64| {
        median(ours.iter().zip(&theirs).map(|(ours, theirs)| value(ours) / value(theirs)).collect())
    };
    rows.add("availability, requests a second, ours / nginx", ratio(|turn| turn.rate), "", Goal::AtLeast(1.0), HOW);
    rows.add("availability, requests a second, ours", of(&ours, |turn| turn.rate), "/s", Goal::Told, HOW);
    rows.add("availability, requests a second, nginx", of(&theirs, |turn| turn.rate), "/s", Goal::Told, HOW);
    let how = "the whole process, by the kernel's account";
    rows.add("availability, processor time a request, ours", of(&ours, |turn| turn.cpu_us), "us", Goal::Told, how);
    rows.add("availability, processor time a request, nginx", of(&theirs, |turn| turn.cpu_us), "us", Goal::Told, how);
}

fn is_there(tool: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).chain(["/usr/sbin".into()]).any(|folder| folder.join(tool).is_file())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Turn {
    rate: f64,
    cpu_us: f64,
}

fn turn(address: SocketAddr, pid: u32) -> Turn {
    let before = spent(pid);
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s")])
        .arg(format!("http://{address}{PATH}"))
        .output()
        .unwrap();
    let spent = spent(pid) - before;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!told.contains("Non-2xx") && !told.contains("Socket errors"), "{told}");
    let words: Vec<&str> = told.split_whitespace().collect();
    let before = |word: &str| words[words.iter().position(|known| *known == word).unwrap() - 1];
    let requests: f64 = before("requests").parse().unwrap();
    let place = words.iter().position(|word| *word == "Requests/sec:").unwrap();
    Turn { rate: words[place + 1].parse().unwrap(), cpu_us: spent.as_secs_f64() * 1e6 / requests }
}

/// Processor time of all threads of a process so far.
fn spent(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// An answer as it came.
struct Fetched {
    headers: Vec<(String, String)>,
    body: String,
}

impl Fetched {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn same(&self) -> [&str; 5] {
        let header = |name| self.header(name);
        [header("content-type"), header("cache-control"), header("etag"), header("content-length"), &self.body]
    }
}

fn fetch(address: SocketAddr) -> Fetched {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {PATH} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Fetched { headers, body: body.to_owned() }
}

/// An engine with one gateway thread, on the first core with all it has.
struct Engine<'a> {
    folder: &'a Path,
    address: SocketAddr,
    pid: u32,
}

impl<'a> Engine<'a> {
    fn start(folder: &'a Path) -> Self {
        let sale = "sale: reads\nopens_at: \"in 1h\"\nduration: 30m\n\
                    items: [{ sku: SNKR-1, stock: 10000, price: \"200.00 USD\" }]\n\
                    engine: { listen: \"127.0.0.1:0\", operator_listen: \"127.0.0.1:0\" }\n";
        std::fs::write(folder.join("sale.yaml"), sale).unwrap();
        assert!(flashsale(folder, "up"), "the engine is up");
        let text = std::fs::read(folder.join("state/reads/addresses.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let address = addresses["listen"].as_str().unwrap().parse().unwrap();
        Self { folder, address, pid: u32::try_from(addresses["pid"].as_u64().unwrap()).unwrap() }
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        flashsale(self.folder, "down");
    }
}

fn flashsale(folder: &Path, verb: &str) -> bool {
    let run = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_flashsale"), verb, "sale.yaml", "--yes"])
        .current_dir(folder)
        .env("FLASHSALE_STATE_DIR", folder.join("state"))
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .status();
    run.unwrap().success()
}

/// nginx with one worker, on the first core.
struct Nginx {
    master: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &Path, bytes: &Fetched) -> Self {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let base = folder.join("nginx");
        std::fs::create_dir(&base).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", base.display()))
            .collect();
        let configuration = format!(
            "worker_processes 1;\ndaemon off;\npid {base}/pid;\nerror_log {base}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; {temporary}\n\
             server {{ listen {address}; location / {{ default_type application/json;\n\
             add_header cache-control \"{cache}\"; add_header etag '{etag}'; return 200 '{body}'; }} }} }}\n",
            base = base.display(),
            cache = bytes.header("cache-control"),
            etag = bytes.header("etag"),
            body = bytes.body,
        );
        let file = base.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let master = Command::new("taskset")
            .args(["-c", "0", "nginx", "-c"])
            .arg(&file)
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { master, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nginx answers");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    /// The one worker; `taskset` has become the master.
    fn worker(&self) -> u32 {
        let master = self.master.id();
        let text = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let stopped = Command::new("kill").args(["-QUIT", &self.master.id().to_string()]).status();
        if stopped.is_ok_and(|status| status.success()) {
            let _ = self.master.wait();
        }
    }
}
