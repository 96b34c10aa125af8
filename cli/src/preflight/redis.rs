//! Redis cluster healthy (3 masters + 3 slaves).

use std::time::Instant;

use ::redis::{Client, RedisResult, cmd};

use super::{EMBEDDED, Finding, Scene, judged, not_applicable, within};

/// What one server says of itself.
struct Server {
    master: bool,
    /// Of a replica: it follows its master.
    linked: bool,
    /// Of a cluster's: all slots are served.
    whole: bool,
    pong_ms: f64,
}

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let Some(services) = &scene.services else {
        return not_applicable(format!("{EMBEDDED}the cache is in the engine's process"));
    };
    let clustered = services.redis.len() > 1;
    let mut servers = Vec::new();
    for (place, url) in services.redis.iter().enumerate() {
        match within(ask(url, clustered)).await {
            Ok(server) => servers.push(server),
            Err(error) => return judged(false, format!("server {} of {}: {error}", place + 1, services.redis.len())),
        }
    }
    let slowest = servers.iter().map(|server| server.pong_ms).fold(0.0, f64::max);
    let masters = servers.iter().filter(|server| server.master).count();
    let replicas = servers.iter().filter(|server| !server.master && server.linked).count();
    let away = match scene.status.cache_away_since {
        Some(_) => "; the engine's writes do not arrive",
        None => "",
    };
    let good = scene.status.cache_away_since.is_none();
    if !clustered {
        let text = format!("one server, not a cluster, as this sale defines it: PONG in {slowest:.1} ms{away}");
        return judged(good && masters == 1, text);
    }
    let whole = servers.iter().all(|server| server.whole);
    let slots = if whole { "all slots served" } else { "NOT all slots served" };
    let text = format!("{masters} masters + {replicas} replicas in step, {slots}; slowest PONG {slowest:.1} ms{away}");
    judged(good && whole && masters >= 3 && replicas >= masters, text)
}

async fn ask(url: &str, clustered: bool) -> RedisResult<Server> {
    let mut server = Client::open(url)?.get_multiplexed_async_connection().await?;
    let begun = Instant::now();
    cmd("PING").exec_async(&mut server).await?;
    let pong_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    let info: String = cmd("INFO").arg("replication").query_async(&mut server).await?;
    let cluster: String = match clustered {
        true => cmd("CLUSTER").arg("INFO").query_async(&mut server).await?,
        false => String::new(),
    };
    Ok(Server {
        master: info.contains("role:master"),
        linked: info.contains("master_link_status:up"),
        whole: cluster.contains("cluster_state:ok"),
        pong_ms,
    })
}
