//! Product metadata loaded in Redis.

use flashsale_engine::adapters::redis::{RedisCache, Scope};
use flashsale_engine::id::Ids;
use flashsale_engine::ports::Cache;

use super::{EMBEDDED, Finding, Scene, judged, not_applicable, within};

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let Some(services) = &scene.services else {
        return not_applicable(format!("{EMBEDDED}gateways answer product data from their own memory"));
    };
    let skus: Vec<String> = scene.definition().items.iter().map(|item| item.sku.clone()).collect();
    let scope = Scope { names: scene.names.clone(), skus: skus.clone(), ids: Ids::new(scene.frozen.run) };
    let cache = match RedisCache::open(&services.redis, scope) {
        Ok(cache) => cache,
        Err(error) => return judged(false, error.to_string()),
    };
    let (mut good, mut wrong) = (0, Vec::new());
    for (item, sku) in (0..).zip(&skus) {
        let shown = within(shown(scene, sku)).await;
        match (cache.product(item).await, shown) {
            (Ok(Some(kept)), Ok(shown)) if kept == shown => good += 1,
            (Ok(Some(_)), Ok(_)) => wrong.push(format!("{sku}: other data than the gateway shows")),
            (Ok(None), _) => wrong.push(format!("{sku}: no key")),
            (Err(error), _) => wrong.push(format!("{sku}: {error}")),
            (_, Err(error)) => wrong.push(format!("{sku}: {error}")),
        }
    }
    let first = wrong.first().map(|first| format!("; {first} (flashsale prewarm)")).unwrap_or_default();
    judged(wrong.is_empty(), format!("{good} of {} keys as the gateways show them{first}", skus.len()))
}

async fn shown(scene: &Scene<'_>, sku: &str) -> reqwest::Result<bytes::Bytes> {
    let url = format!("http://{}/v1/skus/{sku}", scene.addresses.listen);
    reqwest::get(url).await?.error_for_status()?.bytes().await
}
