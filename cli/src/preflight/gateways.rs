//! API Gateway instances ready (no cold starts).

use std::time::{Duration, Instant};

use super::{Finding, Scene, judged, within};

/// Requests that are measured, a gateway.
const REQUESTS: usize = 1_000;
/// Requests before that, a connection.
const WARM: usize = 20;
/// Connections, a gateway: the kernel spreads them over the threads that share an address.
const CONNECTIONS: usize = 8;
/// How long one request may take.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) async fn check(scene: &Scene<'_>) -> Finding {
    let base = format!("http://{}", scene.addresses.listen);
    let ready = within(async { reqwest::get(format!("{base}/readyz")).await?.error_for_status() }).await;
    if let Err(error) = ready {
        return judged(false, format!("{base}/readyz: {error}"));
    }
    let gateways = usize::from(scene.definition().engine.gateways.max(1));
    let Some(item) = scene.definition().items.first() else { return judged(false, "no item") };
    let (url, each) = (format!("{base}/v1/skus/{}/availability", item.sku), REQUESTS.div_ceil(CONNECTIONS));
    let measuring: Vec<_> = (0..gateways * CONNECTIONS).map(|_| tokio::spawn(measure(url.clone(), each))).collect();
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for one in measuring {
        match one.await.map_err(|error| error.to_string()).and_then(|measured| measured) {
            Ok(measured) => all.extend(measured),
            Err(error) => failures.push(error),
        }
    }
    all.sort_unstable();
    let ms = |percent: usize| {
        let time = all.get(all.len() * percent / 100).copied().unwrap_or(LONGEST);
        time.as_secs_f64() * 1_000.0
    };
    let limit = scene.definition().slo.read.p95.as_secs_f64() * 1_000.0;
    let failed = failures.first().map(|first| format!("; {} connections failed: {first}", failures.len()));
    let evidence = format!(
        "{base}: {} warm requests over {} connections to {gateways} gateway(s): P50 {:.2} ms, P99 {:.2} ms (limit {limit} ms){}",
        all.len(),
        gateways * CONNECTIONS,
        ms(50),
        ms(99),
        failed.unwrap_or_default()
    );
    judged(failures.is_empty() && ms(99) <= limit, evidence)
}

/// One connection's requests, one after another.
async fn measure(url: String, requests: usize) -> Result<Vec<Duration>, String> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(1).timeout(LONGEST).build();
    let client = client.map_err(|error| error.to_string())?;
    let mut times = Vec::with_capacity(requests);
    for number in 0..WARM + requests {
        let begun = Instant::now();
        let read = async { client.get(&url).send().await?.error_for_status()?.bytes().await };
        read.await.map_err(|error| error.to_string())?;
        if number >= WARM {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}
