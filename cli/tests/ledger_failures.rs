//! What goes wrong with PostgreSQL under its writer: killed, restarted, crowded, stopped in the middle of a commit, left
//! by its standbys, promoted. Each story ends with the same proof: every batch is there once, in order, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod servers;
#[path = "ledger_failures/shop.rs"]
mod shop;
#[allow(dead_code, unused_macros)]
#[path = "conformance/mod.rs"]
mod stories;

use std::sync::Arc;

use flashsale_engine::adapters::postgres::PostgresLedger;
use flashsale_engine::ports::{CommitEnd, LedgerBatch, LedgerError};
use rustix::process::{Signal, kill_process};
use shop::{LIMIT, LOOK, SESSIONS, Shop, blocked, count, every_batch_is_there_once, grants, lands, run, until};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use stories::tellers::Teller;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_under_load_the_writer_connects_again() {
    let Some(mut shop) = Shop::with(0) else { return };
    let mut teller = shop.teller(1).await;
    let mut said = Vec::new();
    for number in 0..60 {
        let batch = grants(&teller);
        match number {
            20 => shop.stack.kill("postgres"),
            40 => shop.stack.stop("postgres"),
            _ => {}
        }
        let (heard, _) = tokio::join!(lands(&teller.at, &batch), shop.comes_back(0));
        said.extend(heard);
        teller.committed(&batch);
    }
    assert!(!said.is_empty(), "it was away twice");
    every_batch_is_there_once(&teller.at, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_killed_in_the_middle_of_a_commit_leaves_it_undone_and_it_is_sent_again() {
    let Some(shop) = Shop::with(0) else { return };
    let mut teller = shop.teller(1).await;
    for (number, ends) in ["kill -9", "terminated by an administrator"].into_iter().enumerate() {
        let mut admin = shop.admin(0).await;
        let mut holder = shop.admin(0).await;
        run(&mut holder, "begin").await;
        run(&mut holder, "select from inventory for update").await;
        let (at, batch) = (teller.at.clone(), grants(&teller));
        let (landing, sent) = (at.clone(), batch.clone());
        let landing = tokio::spawn(async move { lands(&landing, &sent).await });
        let pid = blocked(&mut admin).await;
        if ends == "kill -9" {
            // The server ends every other session, too, and recovers.
            kill_process(pid, Signal::KILL).unwrap();
        } else {
            let end = format!("select pg_terminate_backend({})", pid.as_raw_nonzero());
            run(&mut admin, &end).await;
        }
        drop(holder);
        let said = landing.await.unwrap();
        assert!(!said.is_empty(), "{ends}: the end was unknown for a while");
        teller.committed(&batch);
        every_batch_is_there_once(&at, number as u64 + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_idle_sessions_leaves_the_writer_alone() {
    let Some(shop) = Shop::with(0) else { return };
    let mut teller = shop.teller(1).await;
    let mut crowd = Vec::new();
    while let Ok(mut idle) = PgConnection::connect(&shop.stack.services.postgres[0]).await {
        run(&mut idle, "begin").await;
        run(&mut idle, "select 1").await;
        crowd.push(idle);
        assert!(crowd.len() < 300, "the server has a bound");
    }
    assert!(crowd.len() > 150, "{} idle transactions", crowd.len());
    let fresh = PostgresLedger::open_reader(&shop.stack.services.postgres, &shop.names).await;
    let Err(LedgerError::Unavailable(why)) = fresh else { panic!("there is no room for another") };
    assert!(why.contains("too many clients") || why.contains("connection slots"), "{why}");
    for _ in 0..50 {
        let batch = grants(&teller);
        assert_eq!(lands(&teller.at, &batch).await, [""; 0], "not one commit met the crowd");
        teller.committed(&batch);
    }
    drop(crowd);
    let mut admin = loop {
        match PgConnection::connect(&shop.stack.services.postgres[0]).await {
            Ok(admin) => break admin,
            Err(_) => sleep(LOOK).await,
        }
    };
    until(&mut admin, "select count(*) from pg_stat_activity where state = 'idle in transaction'", 0).await;
    every_batch_is_there_once(&teller.at, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_stopped_inside_its_transaction_changes_nothing_when_it_wakes() {
    let Some(shop) = Shop::with(0) else { return };
    let mut old = shop.teller(1).await;
    let batch = grants(&old);
    lands(&old.at, &batch).await;
    old.committed(&batch);
    let mut admin = shop.admin(0).await;
    let mut holder = shop.admin(0).await;
    run(&mut holder, "begin").await;
    run(&mut holder, "select from inventory for update").await;
    let (at, late) = (old.at.clone(), grants(&old));
    let sent = late.clone();
    let zombie = tokio::spawn(async move { at.ledger.commit(&sent).await });
    // It has the writer's row and stands still with it.
    let pid = blocked(&mut admin).await;
    kill_process(pid, Signal::STOP).unwrap();
    run(&mut holder, "rollback").await;

    let at = shop.open().await;
    let seen = at.ledger.checkpoint().await.unwrap();
    let taking = tokio::spawn(async move {
        loop {
            match at.ledger.take_over(seen.epoch, Uuid::from_u128(2)).await {
                Ok(taken) => return (taken.expect("nobody was faster"), at),
                // The lock is waited for, for so long and not for ever.
                Err(LedgerError::Unavailable(why)) => assert!(why.contains("lock timeout"), "{why}"),
                Err(error) => panic!("{error}"),
            }
        }
    });
    let waiting = "select count(*) from pg_locks where not granted";
    until(&mut admin, waiting, 1).await;
    kill_process(pid, Signal::CONT).unwrap();
    let (row, at) = timeout(LIMIT, taking).await.unwrap().unwrap();
    assert_eq!((row.epoch, row.next_offset), (2, 2));
    let mut end = zombie.await.unwrap();
    while matches!(end, Ok(CommitEnd::Unknown(_)) | Err(LedgerError::Unavailable(_))) {
        end = old.at.ledger.resolve(&late).await;
    }
    assert!(matches!(end, Ok(CommitEnd::Fenced(_))), "{end:?}");
    every_batch_is_there_once(&at, 1).await;
    let mut new = Teller { at, row };
    let batch = grants(&new);
    new.commit(&batch).await;
    every_batch_is_there_once(&new.at, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_transaction_with_the_writers_row_is_ended_by_the_takeover() {
    let Some(shop) = Shop::with(0) else { return };
    let old = shop.teller(1).await;
    let mut stranger = shop.admin(0).await;
    // A session with a writer's name and no client that would ever end it.
    let name = format!("fs-writer {:016x} {:016x}", shop.names.advisory_lock(), 7);
    run(&mut stranger, &format!("set application_name = '{name}'")).await;
    run(&mut stranger, "begin").await;
    run(&mut stranger, "update writer set digest = 0").await;
    let new = Teller::takes_over(shop.open().await, 2).await;
    assert_eq!((new.row.next_offset, new.row.digest), (old.row.next_offset, old.row.digest));
    assert!(sqlx::query("commit").execute(&mut stranger).await.is_err(), "its session is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_last_standby_nothing_is_confirmed_and_nothing_spins() {
    let Some(mut shop) = Shop::with(1) else { return };
    let mut teller = shop.teller(1).await;
    let batch = grants(&teller);
    teller.commit(&batch).await;
    shop.stack.stop("postgres-standby-1");
    let batch = grants(&teller);
    let ledger = Arc::clone(&teller.at.ledger);
    let named = |end: Result<CommitEnd, LedgerError>| {
        let Ok(CommitEnd::Unknown(why)) = end else { panic!("{end:?}") };
        assert!(why.contains("no synchronous standby"), "{why}");
    };
    named(ledger.commit(&batch).await);
    named(ledger.resolve(&batch).await);
    named(ledger.resolve(&batch).await);
    let mut admin = shop.admin(0).await;
    let sessions = count(&mut admin, SESSIONS).await;
    assert!(sessions <= 3, "{sessions} sessions: each try waits behind the first");
    assert!(ledger.beat(teller.row.epoch, teller.row.writer).await.unwrap(), "the writer lives meanwhile");
    assert_eq!(teller.at.history.writer().await.unwrap().unwrap().next_offset, 2, "and nobody sees what may be lost");

    // Its session dies: now the commit stands here alone, seen and not yet safe.
    let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    until(&mut admin, waits, 1).await;
    run(&mut admin, "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'").await;
    named(loop {
        match ledger.resolve(&batch).await {
            Ok(CommitEnd::Unknown(why)) if !why.contains("standby") => {}
            Err(LedgerError::Unavailable(_)) => {}
            end => break end,
        }
        sleep(LOOK).await;
    });
    assert_eq!(teller.at.history.writer().await.unwrap().unwrap().next_offset, 3);
    shop.stack.restart("postgres-standby-1");
    let ends = timeout(LIMIT, async {
        loop {
            match ledger.resolve(&batch).await {
                Ok(CommitEnd::Unknown(_)) | Err(LedgerError::Unavailable(_)) => sleep(LOOK).await,
                end => break end,
            }
        }
    });
    assert_eq!(ends.await.unwrap().unwrap(), CommitEnd::Committed);
    teller.committed(&batch);
    let batch = grants(&teller);
    teller.commit(&batch).await;
    every_batch_is_there_once(&teller.at, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_standby_is_promoted_and_the_old_primary_is_refused() {
    let Some(mut shop) = Shop::with(2) else { return };
    let mut teller = shop.teller(1).await;
    let mut batches = Vec::new();
    for number in 0..6 {
        if number == 3 {
            // The other standby confirms the rest: this one will lack it.
            shop.stack.stop("postgres-standby-2");
        }
        let batch = grants(&teller);
        lands(&teller.at, &batch).await;
        teller.committed(&batch);
        batches.push(batch);
    }
    shop.stack.kill("postgres");
    shop.stack.stop("postgres-standby-1");
    // Nobody follows it yet: an operator goes on without.
    let mut promoted = shop.comes_back(2).await;
    run(&mut promoted, "select pg_promote()").await;
    run(&mut promoted, "alter system set synchronous_standby_names = ''").await;
    run(&mut promoted, "select pg_reload_conf()").await;

    // The writer finds the new primary, and that it lies behind its memory.
    let next = grants(&teller);
    let behind = timeout(LIMIT, async {
        loop {
            match teller.at.ledger.resolve(&next).await {
                Ok(CommitEnd::Unknown(_)) | Err(LedgerError::Unavailable(_)) => sleep(LOOK).await,
                Ok(CommitEnd::Fenced(row)) => break row,
                other => panic!("{other:?}"),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((behind.epoch, behind.next_offset), (1, 4), "what only the other standby confirmed is not here");

    // The old primary comes back, takes itself for the primary, and is further: nobody listens to it.
    let mut old = shop.comes_back(0).await;
    assert_eq!(count(&mut old, "select pg_is_in_recovery()::integer::bigint").await, 0);
    let at = shop.open().await;
    assert_eq!(at.ledger.checkpoint().await.unwrap().next_offset, 4, "the highest timeline is the ledger's");
    // What is folded again comes to the same batches.
    let mut again = Teller::takes_over(at, 2).await;
    for batch in &batches[3..] {
        let (epoch, writer) = (again.row.epoch, again.row.writer);
        again.commit(&LedgerBatch { epoch, writer, ..batch.clone() }).await;
    }
    every_batch_is_there_once(&again.at, 6).await;
}
