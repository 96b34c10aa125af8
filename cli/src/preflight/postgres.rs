//! PostgreSQL primary + replicas synchronized (lag <50ms).

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::{EMBEDDED, Finding, Scene, judged, not_applicable, within};

/// How far a standby may be behind (customer: 50 ms).
const LAG: Duration = Duration::from_millis(50);
/// How long a standby is waited for.
const LIMIT: Duration = Duration::from_secs(2);

/// What was measured.
struct Measured {
    standbys: usize,
    /// How many of them are synchronous.
    waited_for: usize,
    /// From the write's acknowledgement until the last one has replayed it; none within the limit.
    lag: Option<Duration>,
}

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let Some(services) = &scene.services else {
        return not_applicable(format!("{EMBEDDED}the ledger is a file of its own"));
    };
    let mut primary = None;
    for url in &services.postgres {
        let asked = within(async {
            let mut server = PgConnection::connect(url).await?;
            let recovering: bool = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut server).await?;
            Ok::<_, sqlx::Error>((server, recovering))
        });
        if let Ok((server, false)) = asked.await {
            primary = Some(server);
        }
    }
    let expected = services.postgres.len().saturating_sub(1);
    let Some(primary) = primary else { return judged(false, "no server is the primary") };
    match within(measure(primary)).await {
        Err(error) => judged(false, error),
        Ok(Measured { standbys: 0, .. }) if expected == 0 => {
            judged(true, "a primary that takes writes; this sale defines no replicas")
        }
        Ok(Measured { standbys, waited_for, lag }) => {
            let shown =
                lag.map_or_else(|| format!("more than {} s", LIMIT.as_secs()), |lag| format!("{:.1} ms", ms(lag)));
            let good = standbys >= expected && lag.is_some_and(|lag| lag < LAG);
            let text = format!(
                "a primary and {standbys} of {expected} replicas, {waited_for} of them synchronous; a write was replayed by \
                 the last one {shown} after its commit"
            );
            judged(good, text)
        }
    }
}

/// Writes a message to the log of the database, and waits until every standby has replayed it.
async fn measure(mut primary: PgConnection) -> Result<Measured, sqlx::Error> {
    let write = "select pg_logical_emit_message(true, 'flashsale', 'preflight')::text";
    let _: String = sqlx::query_scalar(write).fetch_one(&mut primary).await?;
    let begun = Instant::now();
    let written: String = sqlx::query_scalar("select pg_current_wal_flush_lsn()::text").fetch_one(&mut primary).await?;
    let look = "select count(*), count(*) filter (where sync_state in ('sync', 'quorum')),
        count(*) filter (where replay_lsn >= $1::pg_lsn) from pg_stat_replication where state = 'streaming'";
    loop {
        let (standbys, waited_for, replayed): (i64, i64, i64) =
            sqlx::query_as(look).bind(&written).fetch_one(&mut primary).await?;
        let (standbys, waited_for) = (count(standbys), count(waited_for));
        if count(replayed) == standbys {
            return Ok(Measured { standbys, waited_for, lag: Some(begun.elapsed()) });
        }
        if begun.elapsed() > LIMIT {
            return Ok(Measured { standbys, waited_for, lag: None });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn count(rows: i64) -> usize {
    usize::try_from(rows).unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
