//! The simulator, run as anyone would run it: the product keeps every invariant and comes to rest, it is noticed when a
//! safeguard is missing, and a seed always comes to the same end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::Command;

/// What a run printed, and its exit code.
fn simulate(arguments: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("the simulator starts");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (text, output.status.code().expect("it ends by itself"))
}

/// The seed that a failing run names.
fn failed(text: &str) -> u64 {
    let line = text.lines().find(|line| line.contains("FAILED")).unwrap_or_else(|| panic!("no seed failed:\n{text}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How often a fault happened, by the run's figures.
fn count(text: &str, fault: &str) -> u64 {
    let line = text.lines().find(|line| line.trim_start().split_once("  ").is_some_and(|(_, name)| name == fault));
    let line = line.unwrap_or_else(|| panic!("no figure for {fault}:\n{text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn every_seed_keeps_every_invariant_and_comes_to_rest_whatever_goes_wrong() {
    let (text, code) = simulate(&["--seeds", "0..200"]);
    assert_eq!(code, 0, "{text}");
    for fault in [
        "crash",
        "stopped and continued",
        "second writer",
        "promotion, both alive",
        "log tail lost",
        "log tail lost and regrown",
        "unread records lost",
        "record appended twice",
        "record appended late",
        "commit unknown, landed",
        "commit unknown, not landed",
        "commit late",
        "clock an hour back",
        "clock an hour ahead",
        "reply lost",
        "reply late",
        "decisions repeated",
        "retry elsewhere under a flag",
        "payment request lost",
        "payment late",
        "capture refused",
        "void failed",
        "cache gone",
    ] {
        assert!(count(&text, fault) > 0, "{fault} never happened:\n{text}");
    }
}

#[track_caller]
fn is_noticed(switch: &str) {
    let (text, code) = simulate(&["--seeds", "0..1000", "--switch", switch]);
    assert_eq!(code, 1, "without {switch} nothing is noticed:\n{text}");
    let seed = failed(&text).to_string();
    let (text, code) = simulate(&["--seeds", &seed]);
    assert_eq!(code, 0, "with every safeguard, seed {seed} fails too:\n{text}");
}

#[test]
fn a_ledger_without_a_fence_is_noticed() {
    is_noticed("fence");
}

#[test]
fn a_grant_without_a_stock_check_is_noticed() {
    is_noticed("stock-check");
}

#[test]
fn a_writer_without_memory_of_requests_is_noticed() {
    is_noticed("request-memory");
}

#[test]
fn a_writer_without_memory_of_batches_is_noticed() {
    is_noticed("batch-numbers");
}

#[test]
fn a_publisher_that_does_not_begin_at_the_audit_rows_is_noticed() {
    is_noticed("audit-outbox");
}

#[test]
fn a_start_without_the_last_records_hash_is_noticed() {
    is_noticed("log-hash");
}

#[test]
fn a_flag_before_the_look_up_of_the_request_is_noticed() {
    is_noticed("lookup-before-flag");
}

#[test]
fn a_confirm_without_its_payment_is_noticed() {
    is_noticed("payment-id");
}

#[test]
fn a_seed_comes_to_the_same_end_on_any_number_of_threads() {
    let traces = |arguments: &[&str]| {
        let (text, code) = simulate(arguments);
        assert_eq!(code, 0, "{text}");
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(traces(&["--seeds", "40..60", "--jobs", "1"]), traces(&["--seeds", "40..60", "--jobs", "2"]));
    let (first, _) = simulate(&["--seeds", "7", "--trace"]);
    let (second, _) = simulate(&["--seeds", "7", "--trace"]);
    let story = |text: &str| text.lines().filter(|line| line.contains(" ms ")).map(str::to_owned).collect::<Vec<_>>();
    assert!(story(&first).len() > 100, "{first}");
    assert_eq!(story(&first), story(&second));
}

#[test]
fn a_failing_seed_fails_again_in_the_same_way() {
    let last = |text: &str| text.lines().filter(|line| line.contains("FAILED") || line.contains("trace")).count();
    let (text, code) = simulate(&["--seeds", "0..1000", "--switch", "payment-id"]);
    assert_eq!((last(&text) > 0, code), (true, 1), "{text}");
    let seed = failed(&text).to_string();
    let of = |text: &str| text[text.find("FAILED").unwrap()..].lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    let (again, code) = simulate(&["--seeds", &seed, "--switch", "payment-id"]);
    assert_eq!((of(&again), code), (of(&text), 1));
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for arguments in [&["--seeds", "9..3"][..], &["--switch", "luck"], &["--jobs", "0"], &["--what"]] {
        let (text, code) = simulate(arguments);
        assert_eq!(code, 64, "{text}");
    }
    assert_eq!(simulate(&["--help"]).1, 0);
}
