//! The one list of metrics: names, units, formulas, targets. `docs/metrics.md`, `/metrics`, the stream, the war room and
//! the report all take them from here. SKELETON: the names below are the contract; the table is to be written.

/// A metric's name, as frames carry it. Prometheus puts `flashsale_` in front.
pub mod name {
    #![allow(missing_docs)] // the table beside says what each is
    pub const OVERSELL_COUNT: &str = "oversell_count";
    pub const REQUEST_RATE: &str = "request_rate";
    pub const READ_RATE: &str = "read_rate";
    pub const WRITE_RATE: &str = "write_rate";
    pub const CHECKOUT_RATE: &str = "checkout_rate";
    pub const P50_READS: &str = "p50_latency_reads";
    pub const P95_READS: &str = "p95_latency_reads";
    pub const P99_READS: &str = "p99_latency_reads";
    pub const P50_WRITES: &str = "p50_latency_writes";
    pub const P95_WRITES: &str = "p95_latency_writes";
    pub const P99_WRITES: &str = "p99_latency_writes";
    pub const P50_CHECKOUT: &str = "p50_latency_checkout";
    pub const P95_CHECKOUT: &str = "p95_latency_checkout";
    pub const P99_CHECKOUT: &str = "p99_latency_checkout";
    pub const CACHE_HIT_RATE: &str = "cache_hit_rate";
    pub const QUEUE_DEPTH: &str = "queue_depth";
    pub const QUEUE_AGE: &str = "queue_age";
    pub const ERROR_RATE: &str = "error_rate";
    pub const AVAILABILITY: &str = "availability";
    pub const DEPLETION_RATE: &str = "stock_depletion_rate";
    pub const BATCH_SIZE: &str = "batch_size";
    pub const BATCH_TIME: &str = "batch_time";
    pub const PRODUCE_TIME: &str = "stage_produce";
    pub const QUEUE_TIME: &str = "stage_queue";
    pub const COMMIT_TIME: &str = "stage_commit";
    pub const REPLY_TIME: &str = "stage_reply";
    pub const CACHE_TIME: &str = "stage_cache";
    pub const UTILISATION: &str = "writer_utilisation";
    pub const CONNECTIONS: &str = "connections";
    pub const MEMORY: &str = "memory_bytes";
    pub const CPU: &str = "cpu_cores";
    /// Counter with label `outcome`: reserve decisions and gateways' own refusals since the run began.
    pub const DECISIONS: &str = "decisions";
    /// Counter with labels `route` and `status`: answers since the engine started.
    pub const ANSWERS: &str = "answers";
}
