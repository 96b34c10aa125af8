//! The real binary in a state directory of its own, and the small sale that the stories are about.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails: generous, because machines differ.
const PATIENCE: Duration = Duration::from_secs(120);

/// A state directory of its own, with every process that was started in it stopped at the end.
pub struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command.args(words).current_dir(self.path()).env("FLASHSALE_STATE_DIR", self.path().join("state"));
        command.env_remove("FLASHSALE_SALE").env_remove("FLASHSALE_TOKEN").stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    #[track_caller]
    pub fn expect(&self, exit: i32, words: &[&str]) -> String {
        let output = self.run(words);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {told}");
        format!("{}{told}", String::from_utf8_lossy(&output.stdout))
    }

    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self.run(&["status", "tiny", "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, reached: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.status().filter(|status| reached(status)) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: not reached");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for name in ["tiny", "tiny.rehearsal"] {
            let _ = self.run(&["down", name]);
        }
    }
}

pub fn sale(opens: &str, duration: &str, crowd: &str) -> String {
    format!(
        "sale: tiny\nopens_at: \"in {opens}\"\nduration: {duration}\nhold: 1s\n\
         items:\n  - {{ sku: S-1, stock: 300, price: \"20.00 USD\" }}\n\
         engine: {{ listen: \"127.0.0.1:0\", operator_listen: \"127.0.0.1:0\" }}\n\
         slo: {{ read: {{ p95: 30s }}, write: {{ p95: 30s, rps: 1000 }}, checkout: {{ p95: 30s }}, availability: 1% }}\n\
         admission: {{ overload: {{ max_queue_age: 30s }} }}\n{crowd}"
    )
}

pub const CROWD: &str = "crowd:\n  shoppers: 1000\n  connections: 16\n  arrivals:\n\
    \x20   - { at: 0s, looks: 50/s, reserves: 100/s }\n    - { at: 4s, looks: 50/s, reserves: 100/s }\n\
    \x20 people: { hesitate: 300ms, pay: 60%, cancel: 10%, declined: 10% }\n\
    \x20 bots:\n    - { family: retrier, share: 10%, identities: 50 }\n    - { family: hoarder, share: 10%, identities: 50 }\n";
