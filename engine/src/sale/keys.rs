//! Every key of a sale file: its kind, its default, what it is. The reader, the schema and `init` all take them from
//! here; a key that is not in this table is unknown.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Further keys.
    Map,
    /// Entries, between so many; their keys stand under `path[]`.
    List(usize, usize),
    /// Any text.
    Text,
    /// `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`
    Name,
    /// A whole number between the two.
    Integer(i64, i64),
    /// `250ms`, `10s`, `2m`, `1h30m`; above zero.
    Duration,
    /// A duration that may be zero: a moment after the opening.
    Moment,
    /// `N/s`, `N/min`, `N/h`
    Rate,
    /// `20%`
    Share,
    /// `"12.34 USD"`
    Money,
    /// With an offset or a zone, or `in 10s`.
    Time,
    /// An IANA zone.
    Zone,
    /// `host:port`
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`
    Truth,
    /// A `host:port` of anybody's.
    Host,
    /// `{ env: NAME }` or `{ file: PATH }`
    Secret,
    /// Whatever it is, it is passed on.
    Any,
}

impl Kind {
    /// What to write where this belongs.
    #[must_use]
    pub fn takes(self) -> String {
        let text = match self {
            Self::Map => "`key: value` lines below it",
            Self::List(..) => "`- ` entries below it",
            Self::Text => "text",
            Self::Name => "a name of letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first",
            Self::Integer(least, most) => return format!("a whole number from {least} to {most}"),
            Self::Duration => "a duration with its unit: 250ms, 10s, 2m, 1h30m; above 0, at most 720h",
            Self::Moment => "a duration with its unit: 0s, 250ms, 10s; at most 720h",
            Self::Rate => "a rate: 1000/s, 100/min, 5/h",
            Self::Share => "a share from 0% to 100%: 20%, 99.9%",
            Self::Money => "\"12.34 USD\"",
            Self::Time => "2026-11-27T17:00:00Z, 2026-11-27T12:00[America/New_York] or \"in 10s\"",
            Self::Zone => "an IANA zone: America/New_York",
            Self::Address => "an address and a port: \"127.0.0.1:8080\"",
            Self::Choice(words) => return format!("one of {}", words.join(", ")),
            Self::Truth => "true or false",
            Self::Host => "a host and a port: \"kafka-1.example:9092\"",
            Self::Secret => "{ env: NAME } or { file: PATH }",
            Self::Any => "keys of your own: { colour: red }",
        };
        text.to_owned()
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path; `[]` for the entries of a list.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default as one would write it; `None`: nothing, or it is required.
    pub default: Option<&'static str>,
    /// It must be there.
    pub required: bool,
    /// What it is, and where its default comes from.
    pub about: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: Option<&'static str>, about: &'static str) -> Key {
    Key { path, kind, default, required: false, about }
}

const fn must(path: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { path, kind, default: None, required: true, about }
}

const U32: i64 = u32::MAX as i64;

/// The keys, parents before children.
pub const KEYS: &[Key] = &[
    must("sale", Kind::Name, "The sale's name."),
    key("opens_at", Kind::Time, None, "When it opens; without it, as soon as it is ready."),
    key("timezone", Kind::Zone, None, "A zone that people see beside UTC."),
    key("duration", Kind::Duration, Some("30m"), "From opening to closing (customer: 30 minutes)."),
    must("items", Kind::List(1, 1_000), "What is sold."),
    must("items[].sku", Kind::Name, "Its SKU, unique in the sale."),
    key("items[].name", Kind::Text, None, "For people; the SKU when absent."),
    must("items[].stock", Kind::Integer(1, 100_000_000), "Units for sale."),
    must("items[].price", Kind::Money, "For one unit; one currency a sale."),
    key("items[].per_customer", Kind::Integer(1, 65_535), Some("1"), "The most that one customer may have."),
    key("items[].metadata", Kind::Any, None, "Passed on to storefronts as it is."),
    key("hold", Kind::Duration, Some("2m"), "How long a unit is held (customer: 120 s)."),
    key("pace", Kind::Integer(1, U32), None, "Grants a second; without it, as fast as they come."),
    key("admission", Kind::Map, None, "Who gets in."),
    key("admission.mode", Kind::Choice(&["fifo"]), Some("fifo"), "First come, first served."),
    key(
        "admission.overload",
        Kind::Map,
        None,
        "When new work is refused to protect what was admitted; either limit sheds.",
    ),
    key("admission.overload.warn", Kind::Integer(1, U32), Some("10000"), "Waiting commands: warn (customer: 10,000)."),
    key("admission.overload.shed", Kind::Integer(1, U32), Some("100000"), "Waiting commands: 503 (customer: 100,000)."),
    key(
        "admission.overload.max_queue_age",
        Kind::Duration,
        Some("100ms"),
        "Age of the oldest waiting command: 503; the write SLO less the way there.",
    ),
    key("slo", Kind::Map, None, "What is promised."),
    key("slo.read", Kind::Map, None, "Availability reads."),
    key("slo.read.p95", Kind::Duration, Some("150ms"), "Customer: NFR-1."),
    key(
        "slo.read.rps",
        Kind::Integer(1, U32),
        Some("250000"),
        "A capacity that plan and rehearse check (customer: NFR-4).",
    ),
    key("slo.write", Kind::Map, None, "Reserves."),
    key("slo.write.p95", Kind::Duration, Some("120ms"), "Customer: NFR-2."),
    key(
        "slo.write.rps",
        Kind::Integer(1, U32),
        Some("25000"),
        "A capacity that plan and rehearse check (customer: NFR-5).",
    ),
    key("slo.checkout", Kind::Map, None, "Checkouts."),
    key("slo.checkout.p95", Kind::Duration, Some("450ms"), "Customer: NFR-3."),
    key("slo.availability", Kind::Share, Some("99.9%"), "Good answers (customer: NFR-6)."),
    key("stack", Kind::Map, None, "What it runs on."),
    key(
        "stack.provider",
        Kind::Choice(&["embedded", "process", "external"]),
        Some("embedded"),
        "embedded: SQLite and in-process parts, nothing to install; process: servers on this machine; external: yours.",
    ),
    key("stack.process", Kind::Map, None, "The servers that provider process starts and keeps running."),
    key("stack.process.postgres", Kind::Map, None, "PostgreSQL, 15 or newer."),
    key("stack.process.postgres.standbys", Kind::Integer(0, 3), Some("0"), "Streaming standbys beside the primary."),
    key("stack.process.postgres.synchronous", Kind::Truth, Some("true"), "A commit waits for any one of them."),
    key("stack.process.redis", Kind::Map, None, "Redis 7 or Valkey."),
    key(
        "stack.process.redis.mode",
        Kind::Choice(&["single", "cluster"]),
        Some("single"),
        "One server, or three masters and three replicas (customer: 3 + 3).",
    ),
    key("stack.process.kafka", Kind::Map, None, "Kafka, without ZooKeeper."),
    key(
        "stack.process.kafka.brokers",
        Kind::Integer(1, 3),
        Some("1"),
        "1, or 3 with every record on two of them (customer: 3).",
    ),
    key("stack.external", Kind::Map, None, "The servers that provider external finds."),
    key("stack.external.postgres", Kind::List(0, 8), None, "PostgreSQL, a URL a server, in no order."),
    key(
        "stack.external.postgres[]",
        Kind::Secret,
        None,
        "postgres://user:password@host:5432/database?sslmode=verify-full",
    ),
    key("stack.external.redis", Kind::List(0, 32), None, "Redis, a URL a server; several are a cluster."),
    key("stack.external.redis[]", Kind::Secret, None, "rediss://user:password@host:6379"),
    key("stack.external.kafka", Kind::Map, None, "Kafka."),
    key("stack.external.kafka.bootstrap", Kind::List(0, 32), None, "Some of its brokers."),
    key("stack.external.kafka.bootstrap[]", Kind::Host, None, "One of them."),
    key(
        "stack.external.kafka.protocol",
        Kind::Choice(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        Some("PLAINTEXT"),
        "How to talk to them.",
    ),
    key(
        "stack.external.kafka.mechanism",
        Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        Some("SCRAM-SHA-512"),
        "How to prove who one is, where the protocol is SASL.",
    ),
    key("stack.external.kafka.username", Kind::Secret, None, "As whom, where the protocol is SASL."),
    key("stack.external.kafka.password", Kind::Secret, None, "Its password."),
    key("stack.external.kafka.authorities", Kind::Text, None, "A file of certificate authorities; else the system's."),
    key("engine", Kind::Map, None, "The engine's addresses and limits."),
    key("engine.listen", Kind::Address, Some("127.0.0.1:8080"), "Where shoppers call."),
    key("engine.operator_listen", Kind::Address, Some("127.0.0.1:8081"), "Where operators call; loopback only."),
    key("engine.gateways", Kind::Integer(1, 64), Some("1"), "Gateway threads."),
    key("engine.reply_within", Kind::Duration, Some("1s"), "How long a reserve waits before it answers 202."),
    key("engine.cors", Kind::Map, None, "Browsers."),
    key("engine.cors.origins", Kind::List(0, 100), None, "Origins that may call; \"*\" for any."),
    key("engine.cors.origins[]", Kind::Text, None, "An origin, https://shop.example."),
    key("engine.tokens", Kind::Map, None, "Shoppers' tokens."),
    key("engine.tokens.keys", Kind::List(0, 4), None, "For rotation; without any, one is made at `up`."),
    must("engine.tokens.keys[].kid", Kind::Name, "Key id; tokens must name it."),
    must("engine.tokens.keys[].algorithm", Kind::Choice(&["HS256", "EdDSA"]), "Of its signatures."),
    must("engine.tokens.keys[].key", Kind::Secret, "The secret (HS256, base64) or the public key (EdDSA, PEM)."),
    key("payments", Kind::Map, None, "Who takes the money."),
    key(
        "payments.provider",
        Kind::Choice(&["sandbox"]),
        Some("sandbox"),
        "The built-in one, for trying and rehearsing.",
    ),
    key(
        "payments.reply_within",
        Kind::Duration,
        Some("400ms"),
        "How long a checkout waits before it answers 202 (within NFR-3).",
    ),
    key("crowd", Kind::Map, None, "A simulated audience, for rehearsals."),
    key("crowd.seed", Kind::Integer(0, i64::MAX), Some("1"), "Same seed, same audience."),
    key("crowd.shoppers", Kind::Integer(1, 10_000_000), Some("50000"), "Distinct shoppers."),
    key("crowd.connections", Kind::Integer(1, 10_000), Some("64"), "Sockets."),
    key(
        "crowd.arrivals",
        Kind::List(0, 1_000),
        None,
        "Arrival rates over time, straight lines between the points; without any, a storm of 15 s.",
    ),
    must("crowd.arrivals[].at", Kind::Moment, "After the opening."),
    must("crowd.arrivals[].looks", Kind::Rate, "Availability reads."),
    must("crowd.arrivals[].reserves", Kind::Rate, "Reserves."),
    key("crowd.people", Kind::Map, None, "What people do once they hold a unit."),
    key("crowd.people.hesitate", Kind::Duration, Some("3s"), "Mean time to decide."),
    key("crowd.people.pay", Kind::Share, Some("85%"), "Share that pays."),
    key("crowd.people.cancel", Kind::Share, Some("5%"), "Share that gives the unit back; the rest walks away."),
    key("crowd.people.declined", Kind::Share, Some("5%"), "Of those who pay, whose card is declined at first."),
    key("crowd.bots", Kind::List(0, 100), None, "Labelled bots."),
    must("crowd.bots[].family", Kind::Choice(&["hammer", "swarm", "retrier", "hoarder"]), "What it does."),
    must("crowd.bots[].share", Kind::Share, "Of all reserves."),
    key("crowd.bots[].identities", Kind::Integer(1, 1_000_000), Some("100"), "Identities it uses."),
    key("report", Kind::Map, None, "What is written afterwards."),
    key("report.formats", Kind::List(0, 3), None, "Without any, all three."),
    key("report.formats[]", Kind::Choice(&["html", "md", "json"]), None, "A format."),
];

/// A key by its path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names of the keys right below a path (empty: the top).
pub fn below(parent: &str) -> impl Iterator<Item = &'static Key> + '_ {
    KEYS.iter().filter(move |key| parent_of(key.path) == parent && !key.path.ends_with("[]"))
}

/// The path above.
#[must_use]
pub fn parent_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// A path without its indices: `items[0].sku` is `items[].sku`.
#[must_use]
pub fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => {
                inside = false;
                pattern.push_str("[]");
            }
            _ if inside => {}
            other => pattern.push(other),
        }
    }
    pattern
}
