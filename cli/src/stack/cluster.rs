//! A Redis cluster: three masters that share the slots, each with a replica.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flashsale_engine::sale::Folder;

use super::error::StackError;
use super::redis::Redis;

/// The hash slots of a cluster.
const SLOTS: usize = 16_384;
/// How many of the servers are masters.
const MASTERS: usize = 3;
/// How long the servers may take to know one another.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

fn formed(redis: &Redis) -> PathBuf {
    redis.data(0).join("formed")
}

/// What an interrupted forming left is thrown away: nothing but membership is in it.
pub(super) fn forget_unfinished(redis: &Redis, folder: &Folder) -> Result<(), StackError> {
    let servers = redis.servers();
    if formed(redis).exists() || servers.iter().any(|server| server.running(folder)) {
        return Ok(());
    }
    for place in 0..servers.len() {
        let data = redis.data(place);
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(StackError::at(&data))?;
        }
    }
    Ok(())
}

/// Forms the cluster unless it is formed, and waits until every server sees all slots served.
pub(super) async fn form(redis: &Redis) -> Result<(), StackError> {
    let mut servers = Vec::new();
    for place in 0..redis.ports().len() {
        servers.push(redis.connection(place).await?);
    }
    let formed = formed(redis);
    if !formed.exists() {
        for (place, server) in servers.iter_mut().enumerate() {
            // Epochs that differ from the start need no election among the masters.
            cluster(server, &["SET-CONFIG-EPOCH", &(place + 1).to_string()]).await?;
            if place < MASTERS {
                let (first, next) = (SLOTS * place / MASTERS, SLOTS * (place + 1) / MASTERS);
                cluster(server, &["ADDSLOTSRANGE", &first.to_string(), &(next - 1).to_string()]).await?;
            }
        }
        for (port, bus) in &redis.ports()[1..] {
            cluster(&mut servers[0], &["MEET", "127.0.0.1", &port.to_string(), &bus.to_string()]).await?;
        }
        let known = format!("cluster_known_nodes:{}", redis.ports().len());
        until(&mut servers, "know one another", "INFO", |told| told.lines().any(|line| line.trim_end() == known))
            .await?;
        let (masters, replicas) = servers.split_at_mut(MASTERS);
        for (master, replica) in masters.iter_mut().zip(replicas) {
            let id = cluster(master, &["MYID"]).await?;
            replicate(replica, &id).await?;
        }
    }
    // From any server: each slot has a master, and each master a replica.
    until(&mut servers, "serve all slots", "INFO", |told| told.contains("cluster_state:ok")).await?;
    let replicas = |told: &str| told.lines().filter(|line| line.contains("slave")).count();
    until(&mut servers, "know the replicas", "NODES", |told| replicas(told) >= redis.ports().len() - MASTERS).await?;
    std::fs::write(&formed, "").map_err(StackError::at(&formed))
}

type Connection = ::redis::aio::MultiplexedConnection;

async fn cluster(server: &mut Connection, words: &[&str]) -> ::redis::RedisResult<String> {
    ::redis::cmd("CLUSTER").arg(words).query_async(server).await
}

/// A server knows that another exists a moment before it knows its id.
async fn replicate(replica: &mut Connection, master: &str) -> Result<(), StackError> {
    let begun = Instant::now();
    loop {
        match cluster(replica, &["REPLICATE", master]).await {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > LIMIT => return Err(error.into()),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn until(
    servers: &mut [Connection],
    what: &str,
    asked: &str,
    reached: impl Fn(&str) -> bool,
) -> Result<(), StackError> {
    let begun = Instant::now();
    for server in servers {
        loop {
            let told = cluster(server, &[asked]).await?;
            if reached(&told) {
                break;
            }
            if begun.elapsed() > LIMIT {
                let what = format!("did not {what} within {} s", LIMIT.as_secs());
                return Err(StackError::NotReady { server: "redis cluster".to_owned(), what, log: told });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}
