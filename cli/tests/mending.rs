//! Books changed by hand, logs that lost records: noticed, named, and mended by their verbs, with the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use stage::{Stage, sale};

/// A sale whose holds outlast the story.
fn lasting() -> String {
    sale("1s", "1h", "").replace("hold: 1s", "hold: 10m")
}

fn run_folder(stage: &Stage) -> PathBuf {
    let mut runs = std::fs::read_dir(stage.path().join("state/tiny/runs")).unwrap();
    runs.next().unwrap().unwrap().path()
}

/// What an administrator does at a prompt of his own.
fn sql(stage: &Stage, file: &str, statements: &[&str]) -> Vec<i64> {
    let path = run_folder(stage).join(file);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(std::time::Duration::from_secs(20));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let mut found = Vec::new();
        for statement in statements {
            let rows = sqlx::query(AssertSqlSafe((*statement).to_owned())).fetch_all(&mut connection).await.unwrap();
            found.extend(rows.iter().map(|row| row.get::<i64, _>(0)));
        }
        connection.close().await.unwrap();
        found
    })
}

/// A shopper's request; the status and the body.
fn ask(stage: &Stage, method: &str, path: &str, token: &str) -> (u16, serde_json::Value) {
    let addresses = std::fs::read(stage.path().join("state/tiny/addresses.json")).unwrap();
    let addresses: serde_json::Value = serde_json::from_slice(&addresses).unwrap();
    let mut socket = std::net::TcpStream::connect(addresses["listen"].as_str().unwrap()).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (answer[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn token(stage: &Stage, subject: &str) -> String {
    let words = ["token", "tiny", "--subject", subject, "--output", "json"];
    let minted: serde_json::Value = serde_json::from_str(&stage.expect(0, &words)).unwrap();
    minted["token"].as_str().unwrap().to_owned()
}

/// Opens the sale; whoever pushed it is gone afterwards, and the sale goes on.
fn open(stage: &Stage) {
    let mut run = stage.command(&["run", "sale.yaml", "--yes"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    stage.wait("live", |status| status["phase"] == "live");
    run.kill().unwrap();
    run.wait().unwrap();
}

/// Everything dies at once: nobody keeps a last snapshot.
fn kill_all(stage: &Stage) {
    for process in ["supervisor", "engine"] {
        let pid = std::fs::read_to_string(stage.path().join(format!("state/tiny/{process}.pid"))).unwrap();
        Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
    }
    let begun = std::time::Instant::now();
    while Command::new("kill").args(["-0", &engine_pid(stage)]).stderr(Stdio::null()).status().unwrap().success() {
        assert!(begun.elapsed().as_secs() < 60, "the engine does not die");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn engine_pid(stage: &Stage) -> String {
    std::fs::read_to_string(stage.path().join("state/tiny/engine.pid")).unwrap().trim().to_owned()
}

#[test]
fn a_row_changed_by_hand_stops_the_sale_until_it_is_repaired() {
    let stage = Stage::new();
    stage.write("sale.yaml", &lasting());
    open(&stage);
    let alice = token(&stage, "alice");
    let (status, told) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &alice);
    assert_eq!(status, 201, "{told}");

    sql(&stage, "ledger.db", &["update inventory set sold = 7 where item = 0"]);
    ask(&stage, "POST", "/v1/skus/S-1/reserve", &token(&stage, "bob"));
    let status = stage.wait("stopped", |status| !status["stopped"].is_null() && !status["gate"].is_null());
    assert!(status["stopped"].as_str().unwrap().contains("inventory row 0"), "{status}");
    let (code, refused) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &alice);
    assert_eq!((code, &refused["code"]), (503, &"halted".into()));
    assert!(stage.expect(98, &["status", "tiny"]).contains("WRITER STOPPED"));
    assert!(stage.expect(98, &["audit", "verify"]).contains("inventory 0"));
    stage.expect(98, &["resume", "--reason", "it will be fine"]);

    assert!(stage.expect(0, &["ledger", "repair", "--reason", "look", "--dry-run"]).contains("inventory 0"));
    stage.expect(98, &["audit", "verify"]);
    stage.expect(77, &["ledger", "repair", "--reason", "nobody approved"]);
    stage.expect(0, &["ledger", "repair", "--reason", "an admin's update", "--yes"]);
    stage.wait("the engine is back", |status| status["stopped"].is_null() && status["phase"] == "live");
    stage.expect(0, &["audit", "verify"]);
    let (code, _) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &alice);
    assert_eq!(code, 503, "it stays shut until somebody says so");
    assert!(stage.expect(0, &["resume", "--reason", "repaired"]).contains("gate open"));
    let (code, _) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &token(&stage, "carol"));
    assert_eq!(code, 201);
    assert!(stage.expect(0, &["ledger", "repair", "--reason", "again", "--yes"]).contains("nothing to do"));
    let story = stage.expect(0, &["why", told["reservation_id"].as_str().unwrap()]);
    assert!(story.contains("reserved") && story.contains("by alice"), "{story}");
    stage.expect(0, &["audit", "export", "--out", "export.jsonl"]);
    assert!(std::fs::read_to_string(stage.path().join("export.jsonl")).unwrap().contains("an admin's update"));
}

#[test]
fn a_log_that_lost_records_folds_nothing_and_a_new_one_loses_nothing() {
    let stage = Stage::new();
    stage.write("sale.yaml", &lasting());
    open(&stage);
    let alice = token(&stage, "alice");
    let mut told = Vec::new();
    for generation in 1..=2 {
        for shopper in 0..20 {
            let shopper = token(&stage, &format!("shopper-{generation}-{shopper}"));
            let (status, body) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &shopper);
            assert_eq!(status, 201, "{body}");
            told.push((shopper, body["reservation_id"].as_str().unwrap().to_owned()));
        }
        kill_all(&stage);
        let before = sql(&stage, "ledger.db", &["select next_offset from writer"]);
        if generation == 1 {
            sql(&stage, "log.db", &["delete from records where id > (select max(id) - 12 from records)"]);
        } else {
            // Cut, and longer than before: its length tells nothing.
            let cut = "delete from records where id > (select max(id) - 12 from records)";
            let numbers: Vec<u32> = (1..=40).collect();
            let grown = format!(
                "insert into records (id, timestamp, bytes)
                 select (select max(id) from records) + value, 1, x'01' from json_each('{numbers:?}')"
            );
            sql(&stage, "log.db", &[cut, &grown]);
        }
        let refused = stage.expect(98, &["up", "sale.yaml"]);
        assert!(refused.contains("the log is not the one that was folded"), "{refused}");
        assert_eq!(sql(&stage, "ledger.db", &["select next_offset from writer"]), before, "nothing was folded");
        stage.expect(98, &["audit", "verify"]);
        stage.expect(98, &["ledger", "repair", "--reason", "rows are not what is wrong", "--yes"]);

        let would = stage.expect(0, &["recover", "--new-log", "--reason", "look", "--dry-run"]);
        assert!(would.contains(&format!("would begin generation {generation}")), "{would}");
        stage.expect(77, &["recover", "--new-log", "--reason", "nobody approved"]);
        let done = stage.expect(0, &["recover", "--new-log", "--reason", "a lost disk", "--yes"]);
        assert!(done.contains("PASSED"), "{done}");
        assert!(stage.expect(0, &["recover", "--new-log", "--reason", "again", "--yes"]).contains("nothing to do"));
        stage.expect(0, &["up", "sale.yaml"]);
        let live =
            |status: &serde_json::Value| status["writer"]["generation"] == generation && status["phase"] == "live";
        stage.wait("live again", live);
        for (shopper, reservation) in &told {
            let (status, body) = ask(&stage, "GET", &format!("/v1/reservations/{reservation}"), shopper);
            assert_eq!((status, &body["status"]), (200, &"RESERVED".into()), "{reservation}: {body}");
        }
        stage.expect(0, &["audit", "verify"]);
    }
    let (status, _) = ask(&stage, "POST", "/v1/skus/S-1/reserve", &alice);
    assert_eq!(status, 201, "and it goes on selling");
    let story = stage.expect(0, &["why", &told[0].1]);
    assert!(story.contains("reserved") && story.contains("by shopper-1-0"), "{story}");
    stage.expect(0, &["audit", "export", "--out", "export.jsonl"]);
    let export = std::fs::read_to_string(stage.path().join("export.jsonl")).unwrap();
    for generation in 0..=2 {
        assert!(export.contains(&format!("\"kind\":\"committed\",\"generation\":{generation}")));
    }
    assert!(export.contains("a lost disk"), "who approved the new log, and why, is in its first record");
    stage.expect(0, &["report", "tiny", "--out", "report"]);
    assert!(stage.path().join("report/report.html").exists());
}
