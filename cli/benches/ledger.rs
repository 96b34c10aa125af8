//! What a commit of 250 grants costs on PostgreSQL: the product's statement, with all its parts, counts and constraints,
//! beside the least that would do the same work, written by hand on the same server and the same tables. Each in turn,
//! so that whatever else the machine does meets both. `cargo bench -p flashsale --bench ledger`; some seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../tests/servers/mod.rs"]
mod servers;
#[allow(dead_code, unused_macros)]
#[path = "../tests/conformance/mod.rs"]
mod stories;

use std::time::{Duration, Instant};

use flashsale_engine::adapters::postgres::PostgresLedger;
use flashsale_engine::ports::{CommitEnd, ItemChange, LedgerBatch};
use flashsale_engine::sale::Names;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stories::Opened;
use stories::tellers::{Teller, granted, item, moved};
use uuid::Uuid;

/// Grants in a batch.
const GRANTS: u32 = 250;
/// Batches of each, after as many to warm up as a tenth.
const BATCHES: u32 = 400;
/// About what the decisions of a batch come to.
const DECISIONS: usize = 5_000;
/// A connection commits so, when nothing is asked of it but speed.
const LEAST: &str = "
    with fence as (
        update writer set next_offset = $1, digest = $2 where next_offset = $3 and digest = $4 returning 1),
    moved as (update inventory set held = held + $5 from fence where item = 0),
    granted as (
        insert into reservations (hold, subject, item, status, since, expires_at, request)
        select g.* from fence, unnest($6::bigint[], $7::text[], $8::integer[], $9::smallint[], $10::bigint[],
                                      $11::bigint[], $12::uuid[]) as g)
    insert into audit (generation, next_offset, first_offset, epoch, digest, records_hash, chain, committed, committed_at,
                       items, holds)
    select 0, $1, $3, 1, $2, $13, $13, $14, 0, 1, $5 from fence";

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let Some(url) = servers::postgres() else { return };
    let urls = [url.to_owned()];
    let names = Names::new("measured", Uuid::new_v4());
    let ledger = std::sync::Arc::new(PostgresLedger::open(&urls, &names).await.unwrap());
    let mut teller = Teller::takes_over(Opened::new(ledger), 1).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(1_000_000, 0, 0) }];
    teller.commit(&batch).await;
    let mut least = least(&urls).await;
    let (mut product, mut hand) = (Vec::new(), Vec::new());
    for number in 0..BATCHES + BATCHES / 10 {
        let batch = grants(&teller, number);
        let took =
            time(async { assert_eq!(teller.at.ledger.commit(&batch).await.unwrap(), CommitEnd::Committed) }).await;
        teller.committed(&batch);
        let beside = time(commit_least(&mut least, &batch)).await;
        if number >= BATCHES / 10 {
            product.push(took);
            hand.push(beside);
        }
    }
    println!("one batch of {GRANTS} grants, {BATCHES} times each    P50        P95");
    let product = show("the product's statement", &mut product);
    let hand = show("the least by hand", &mut hand);
    println!("the product's median is {:.2} times the least", product.as_secs_f64() / hand.as_secs_f64());
}

fn grants(teller: &Teller, number: u32) -> LedgerBatch {
    let mut batch = teller.next();
    let held = number * GRANTS;
    batch.items = vec![moved(item(1_000_000, held, 0), item(1_000_000, held + GRANTS, 0))];
    batch.holds = (held..held + GRANTS).map(granted).collect();
    batch.committed = vec![5; DECISIONS].into();
    batch
}

/// A run of its own, for the statement by hand.
async fn least(urls: &[String]) -> PgConnection {
    let names = Names::new("measured", Uuid::new_v4());
    let ledger = std::sync::Arc::new(PostgresLedger::open(urls, &names).await.unwrap());
    let mut teller = Teller::takes_over(Opened::new(ledger), 1).await;
    let mut batch = teller.next();
    batch.items = vec![ItemChange { before: None, after: item(1_000_000, 0, 0) }];
    teller.commit(&batch).await;
    let mut connection = PgConnection::connect(&urls[0]).await.unwrap();
    let path = format!("set search_path = {}", names.schema());
    sqlx::query(AssertSqlSafe(path)).execute(&mut connection).await.unwrap();
    sqlx::query("set plan_cache_mode = force_generic_plan").execute(&mut connection).await.unwrap();
    connection
}

async fn commit_least(connection: &mut PgConnection, batch: &LedgerBatch) {
    let column = |of: fn(&flashsale_engine::ports::HoldRow) -> i64| batch.holds.iter().map(of).collect::<Vec<i64>>();
    let done = sqlx::query(LEAST)
        .bind(batch.next_offset.cast_signed())
        .bind(batch.digest.cast_signed())
        .bind(batch.first_offset.cast_signed())
        .bind(batch.digest_before.cast_signed())
        .bind(i32::try_from(GRANTS).unwrap())
        .bind(column(|row| row.view.hold.into()))
        .bind(batch.holds.iter().map(|row| row.name.as_deref().unwrap()).collect::<Vec<_>>())
        .bind(vec![0_i32; batch.holds.len()])
        .bind(vec![2_i16; batch.holds.len()])
        .bind(column(|row| row.view.since.cast_signed()))
        .bind(column(|row| row.view.expires_at))
        .bind(batch.holds.iter().map(|row| Uuid::from_bytes(row.request.unwrap().0)).collect::<Vec<_>>())
        .bind(batch.chain.as_slice())
        .bind(batch.committed.as_ref())
        .execute(connection)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn time(work: impl Future<Output = ()>) -> Duration {
    let began = Instant::now();
    work.await;
    began.elapsed()
}

/// Prints the row; answers the median.
fn show(what: &str, took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    println!("{what:<45} {:>7.2} ms {:>7.2} ms", at(0.5).as_secs_f64() * 1e3, at(0.95).as_secs_f64() * 1e3);
    at(0.5)
}
