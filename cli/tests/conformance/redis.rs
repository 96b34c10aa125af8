//! The cache in Redis: its servers are flushed, stopped, started again, and lost to a replica.

use std::time::{Duration, Instant};

use flashsale::stack::plan::{Plan, Redis};
use flashsale_engine::adapters::redis::{RedisCache, Scope};
use flashsale_engine::id::Ids;
use flashsale_engine::ports::{Cache, CacheWrite};
use flashsale_engine::sale::Names;
use uuid::Uuid;

use super::caches::{self, picture};
use crate::servers::{Stack, scratch};

/// How long a server may take to come back, or a replica to take over.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cache of a run of its own.
pub fn open(urls: &[String]) -> RedisCache {
    let run = Uuid::new_v4();
    let skus = vec!["S-1".to_owned(), "S-2".to_owned()];
    RedisCache::open(urls, Scope { names: Names::new("conformance", run), skus, ids: Ids::new(run) }).unwrap()
}

fn start(redis: Redis) -> Option<Stack> {
    Stack::start(&Plan { redis: Some(redis), ..scratch() })
}

/// Writes again and again until it is taken, as the cache's writer does.
async fn taken(cache: &dyn Cache, writes: &[CacheWrite]) {
    let begun = Instant::now();
    while let Err(error) = cache.write(writes).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn a_flush_leaves_a_cache_that_fills_again() {
    let Some(stack) = start(Redis::Single) else { return };
    let cache = open(&stack.services.redis);
    caches::listening(&cache).await;
    cache.write(&[CacheWrite::Stock(picture(0, 9, 0, 9))]).await.unwrap();
    let mut by_hand = ::redis::Client::open(stack.services.redis[0].as_str()).unwrap().get_connection().unwrap();
    ::redis::cmd("FLUSHALL").exec(&mut by_hand).unwrap();
    assert_eq!(cache.stock(0).await.unwrap(), None);
    // Nothing is left to compare with: whatever comes next is the newest.
    cache.write(&[CacheWrite::Stock(picture(0, 8, 0, 8))]).await.unwrap();
    assert_eq!(cache.stock(0).await.unwrap(), Some(picture(0, 8, 0, 8)));
    caches::listening(&cache).await;
    stack.running.stop().await;
}

pub async fn values_of_another_s_hand_are_no_trouble() {
    let Some(url) = crate::servers::redis() else { return };
    let run = Uuid::new_v4();
    let names = Names::new("conformance", run);
    let scope = Scope { names: names.clone(), skus: vec!["S-1".to_owned()], ids: Ids::new(run) };
    let cache = RedisCache::open(&[url.to_owned()], scope).unwrap();
    let mut by_hand = ::redis::Client::open(url).unwrap().get_connection().unwrap();
    for value in ["", "12", "nonsense", "{\"position\":7}", "{\"position\":{\"generation\":\"x\"}}", "[]"] {
        ::redis::cmd("SET").arg(names.stock_key("S-1")).arg(value).exec(&mut by_hand).unwrap();
        assert_eq!(cache.stock(0).await.unwrap(), None, "{value}");
        cache.write(&[CacheWrite::Stock(picture(0, 1, 0, 1))]).await.unwrap();
        assert_eq!(cache.stock(0).await.unwrap(), Some(picture(0, 1, 0, 1)), "{value}");
    }
}

pub async fn a_restarted_server_is_found_again() {
    let Some(mut stack) = start(Redis::Single) else { return };
    let cache = open(&stack.services.redis);
    caches::listening(&cache).await;
    stack.kill("redis");
    assert!(cache.write(&[CacheWrite::Stock(picture(0, 1, 0, 1))]).await.is_err());
    assert!(cache.stock(0).await.is_err(), "a read says so, too, and soon");
    stack.restart("redis");
    taken(&cache, &[CacheWrite::Stock(picture(0, 2, 0, 2))]).await;
    assert_eq!(cache.stock(0).await.unwrap(), Some(picture(0, 2, 0, 2)));
    caches::listening(&cache).await;
    stack.running.stop().await;
}

pub async fn a_cluster_tells_the_stories_and_survives_the_loss_of_a_master() {
    let Some(mut stack) = start(Redis::Cluster) else { return };
    caches::stories(&open(&stack.services.redis)).await;
    let run = Uuid::new_v4();
    let (names, skus) = (Names::new("conformance", run), vec!["S-1".to_owned(), "S-2".to_owned()]);
    let scope = Scope { names: names.clone(), skus, ids: Ids::new(run) };
    let cache = RedisCache::open(&stack.services.redis, scope).unwrap();
    caches::listening(&cache).await;
    cache.write(&[CacheWrite::Stock(picture(0, 3, 0, 3)), CacheWrite::Stock(picture(0, 3, 1, 4))]).await.unwrap();
    stack.kill(&format!("redis-{}", owner(&stack.services.redis, &names.stock_key("S-1")) + 1));
    taken(&cache, &[CacheWrite::Stock(picture(0, 4, 0, 5)), CacheWrite::Stock(picture(0, 4, 1, 6))]).await;
    assert_eq!(cache.stock(0).await.unwrap(), Some(picture(0, 4, 0, 5)));
    // Of the same item, so by the replica that took over.
    caches::listening(&cache).await;
    stack.running.stop().await;
}

/// The place of the server that owns a key: every other one sends the asker there.
fn owner(urls: &[String], key: &str) -> usize {
    let owns = |url: &String| {
        let mut server = ::redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
        ::redis::cmd("GET").arg(key).query::<Option<String>>(&mut server).is_ok()
    };
    urls.iter().position(owns).expect("an owner")
}
