//! Values become a definition; impossible ones become complaints.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::definition::{
    Admission, Arrival, BotFamily, BotKind, Crowd, Definition, Engine, Item, Objective, OpensAt, Overload,
    PaymentProvider, Payments, People, Report, ReportFormat, Secret, Slo, TokenAlgorithm, TokenKey,
};
use super::keys::{Kind, find, pattern};
use super::read::Reader;
use super::stack::stack;
use super::values;
use crate::ports::Amount;

/// The longest sale, hold and wait.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Builds the definition; complaints are in the reader. None: something required is missing.
pub(super) fn build(reader: &mut Reader) -> Option<Definition> {
    let sale = reader.name("sale");
    let items = items(reader);
    // A missing name must not hide what else is wrong.
    let definition = Definition {
        sale: sale.clone().unwrap_or_default(),
        opens_at: opens_at(reader),
        timezone: timezone(reader),
        duration: reader.duration("duration"),
        items,
        hold: reader.duration("hold"),
        pace: reader.integer("pace"),
        admission: admission(reader),
        slo: slo(reader),
        stack: stack(reader),
        engine: engine(reader),
        payments: Payments { provider: provider(reader), reply_within: reader.duration("payments.reply_within") },
        crowd: reader.value("crowd").is_some().then(|| crowd(reader)),
        report: Report { formats: formats(reader) },
    };
    check(reader, &definition);
    sale.map(|_| definition)
}

impl Reader {
    pub(super) fn expect<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(path)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            let help = find(&pattern(path)).map_or_else(String::new, |key| key.kind.takes());
            self.complain(path, format!("{text} is not what this takes"), help);
        }
        parsed
    }

    fn duration(&mut self, path: &str) -> Duration {
        let fits = |duration: &Duration| !duration.is_zero() && *duration <= LONGEST;
        self.expect(path, |text| values::duration(text).filter(fits)).unwrap_or(Duration::from_secs(1))
    }

    fn moment(&mut self, path: &str) -> Option<Duration> {
        self.expect(path, |text| values::duration(text).filter(|duration| *duration <= LONGEST))
    }

    fn name(&mut self, path: &str) -> Option<String> {
        self.expect(path, |text| values::is_name(text).then(|| text.to_owned()))
    }

    pub(super) fn integer<T: TryFrom<i64>>(&mut self, path: &str) -> Option<T> {
        let Some(Kind::Integer(least, most)) = find(&pattern(path)).map(|key| key.kind) else { return None };
        let within = |number: &i64| (least..=most).contains(number);
        self.expect(path, |text| text.parse().ok().filter(within).and_then(|number| T::try_from(number).ok()))
    }

    fn rate(&mut self, path: &str) -> u32 {
        self.expect(path, values::rate).unwrap_or_default()
    }

    fn share(&mut self, path: &str) -> f64 {
        self.expect(path, values::share).unwrap_or_default()
    }

    pub(super) fn choice(&mut self, path: &str) -> Option<&'static str> {
        let Some(Kind::Choice(words)) = find(&pattern(path)).map(|key| key.kind) else { return None };
        self.expect(path, |text| words.iter().find(|word| **word == text).copied())
    }

    pub(super) fn truth(&mut self, path: &str) -> bool {
        self.expect(path, |text| text.parse().ok()).unwrap_or_default()
    }

    fn address(&mut self, path: &str) -> SocketAddr {
        self.expect(path, |text| text.parse().ok()).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

fn opens_at(reader: &mut Reader) -> Option<OpensAt> {
    let text = reader.text("opens_at")?;
    match values::time(&text) {
        Ok(at) => Some(at),
        Err(help) => {
            reader.complain("opens_at", format!("{text} is not a moment"), help);
            None
        }
    }
}

fn timezone(reader: &mut Reader) -> Option<String> {
    reader.expect("timezone", |text| jiff::tz::TimeZone::get(text).is_ok().then(|| text.to_owned()))
}

fn items(reader: &mut Reader) -> Vec<Item> {
    if reader.value("items").is_none() {
        reader.complain(
            "items",
            "this key is missing",
            "items: with at least one, - { sku: SNKR-1, stock: 10000, price: \"200.00 USD\" }",
        );
    }
    let count = reader.entries("items");
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut items: Vec<Item> = Vec::new();
    for place in 0..count {
        let path = |key: &str| format!("items[{place}].{key}");
        let sku = reader.name(&path("sku")).unwrap_or_default();
        if let Some(first) = known.insert(sku.clone(), place).filter(|_| !sku.is_empty()) {
            reader.complain(&path("sku"), format!("{sku} is the SKU of items[{first}] already"), "another SKU");
        }
        let price = price(reader, &path("price"));
        if let Some(first) = items.first().filter(|first| first.price.currency != price.currency && price.minor > 0) {
            let currency = String::from_utf8_lossy(&first.price.currency).into_owned();
            reader.complain(&path("price"), "a sale has one currency", format!("a price in {currency}"));
        }
        let name = reader.text(&path("name")).unwrap_or_else(|| sku.clone());
        items.push(Item {
            name,
            sku,
            stock: reader.integer(&path("stock")).unwrap_or(1),
            price,
            per_customer: reader.integer(&path("per_customer")).unwrap_or(1),
            metadata: metadata(reader, &path("metadata")),
        });
    }
    items
}

fn price(reader: &mut Reader, path: &str) -> Amount {
    let nothing = Amount { minor: 0, currency: *b"USD" };
    let Some(text) = reader.text(path) else { return nothing };
    match values::money(&text) {
        Ok(amount) => amount,
        Err(help) => {
            reader.complain(path, format!("{text} is not an amount"), help);
            nothing
        }
    }
}

fn metadata(reader: &mut Reader, path: &str) -> serde_json::Map<String, serde_json::Value> {
    let Some(value) = reader.value(path) else { return serde_json::Map::new() };
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => {
            reader.complain(path, "metadata takes keys", "{ colour: red }");
            serde_json::Map::new()
        }
    }
}

fn admission(reader: &mut Reader) -> Admission {
    reader.choice("admission.mode");
    Admission {
        overload: Overload {
            warn: reader.integer("admission.overload.warn").unwrap_or(1),
            shed: reader.integer("admission.overload.shed").unwrap_or(1),
            max_queue_age: reader.duration("admission.overload.max_queue_age"),
        },
    }
}

fn slo(reader: &mut Reader) -> Slo {
    Slo {
        read: Objective { p95: reader.duration("slo.read.p95"), rps: reader.integer("slo.read.rps") },
        write: Objective { p95: reader.duration("slo.write.p95"), rps: reader.integer("slo.write.rps") },
        checkout: Objective { p95: reader.duration("slo.checkout.p95"), rps: None },
        availability: reader.share("slo.availability"),
    }
}

fn engine(reader: &mut Reader) -> Engine {
    let origins = reader.entries("engine.cors.origins");
    let cors_origins = (0..origins).filter_map(|place| reader.text(&format!("engine.cors.origins[{place}]"))).collect();
    let keys = reader.entries("engine.tokens.keys");
    Engine {
        listen: reader.address("engine.listen"),
        operator_listen: reader.address("engine.operator_listen"),
        gateways: reader.integer("engine.gateways").unwrap_or(1),
        reply_within: reader.duration("engine.reply_within"),
        cors_origins,
        token_keys: (0..keys).filter_map(|place| token_key(reader, place)).collect(),
    }
}

fn token_key(reader: &mut Reader, place: usize) -> Option<TokenKey> {
    let path = |key: &str| format!("engine.tokens.keys[{place}].{key}");
    let kid = reader.name(&path("kid"));
    let algorithm = match reader.choice(&path("algorithm"))? {
        "EdDSA" => TokenAlgorithm::EdDsa,
        _ => TokenAlgorithm::Hs256,
    };
    Some(TokenKey { kid: kid?, algorithm, key: secret(reader, &path("key"))? })
}

pub(super) fn secret(reader: &mut Reader, path: &str) -> Option<Secret> {
    let word = |key: &str| {
        let value = reader.value(path)?;
        let alone = value.as_mapping().is_some_and(|map| map.len() == 1);
        value.get(key).and_then(serde_yaml::Value::as_str).filter(|_| alone).map(str::to_owned)
    };
    if reader.value(path).is_none() {
        reader.text(path);
        return None;
    }
    let found = word("env").map(Secret::Env).or_else(|| word("file").map(|file| Secret::File(file.into())));
    if found.is_none() {
        reader.complain(path, "a secret is never written here", "{ env: NAME } or { file: PATH }");
    }
    found
}

fn provider(reader: &mut Reader) -> PaymentProvider {
    reader.choice("payments.provider");
    PaymentProvider::Sandbox
}

fn crowd(reader: &mut Reader) -> Crowd {
    let points = reader.entries("crowd.arrivals");
    let moments: Vec<Option<Duration>> =
        (0..points).map(|place| reader.moment(&format!("crowd.arrivals[{place}].at"))).collect();
    let mut arrivals: Vec<Arrival> = moments
        .iter()
        .enumerate()
        .map(|(place, at)| {
            let path = |key: &str| format!("crowd.arrivals[{place}].{key}");
            Arrival {
                at: at.unwrap_or_default(),
                looks: reader.rate(&path("looks")),
                reserves: reader.rate(&path("reserves")),
            }
        })
        .collect();
    let back = |pair: &[Option<Duration>]| matches!(pair, [Some(before), Some(after)] if after <= before);
    if let Some(place) = moments.windows(2).position(back) {
        let path = format!("crowd.arrivals[{}].at", place + 1);
        reader.complain(&path, "points go forward in time", "a later moment than the point before");
    }
    if arrivals.is_empty() {
        arrivals = storm();
    }
    let bots = (0..reader.entries("crowd.bots"))
        .filter_map(|place| {
            let path = |key: &str| format!("crowd.bots[{place}].{key}");
            let family = match reader.choice(&path("family"))? {
                "hammer" => BotKind::Hammer,
                "swarm" => BotKind::Swarm,
                "retrier" => BotKind::Retrier,
                _ => BotKind::Hoarder,
            };
            let share = reader.share(&path("share"));
            Some(BotFamily { family, share, identities: reader.integer(&path("identities")).unwrap_or(1) })
        })
        .collect();
    Crowd {
        seed: reader.integer::<i64>("crowd.seed").map_or(1, i64::cast_unsigned),
        shoppers: reader.integer("crowd.shoppers").unwrap_or(1),
        connections: reader.integer("crowd.connections").unwrap_or(1),
        arrivals,
        people: People {
            hesitate: reader.duration("crowd.people.hesitate"),
            pay: reader.share("crowd.people.pay"),
            cancel: reader.share("crowd.people.cancel"),
            declined: reader.share("crowd.people.declined"),
        },
        bots,
    }
}

/// The arrivals of a crowd that says nothing of them: up in a second, a storm, down.
fn storm() -> Vec<Arrival> {
    [(0, 1_000, 500), (1, 5_000, 2_000), (10, 5_000, 2_000), (15, 1_000, 200)]
        .into_iter()
        .map(|(at, looks, reserves)| Arrival { at: Duration::from_secs(at), looks, reserves })
        .collect()
}

fn formats(reader: &mut Reader) -> Vec<ReportFormat> {
    let count = reader.entries("report.formats");
    if count == 0 {
        return vec![ReportFormat::Html, ReportFormat::Md, ReportFormat::Json];
    }
    (0..count)
        .filter_map(|place| match reader.choice(&format!("report.formats[{place}]"))? {
            "html" => Some(ReportFormat::Html),
            "md" => Some(ReportFormat::Md),
            _ => Some(ReportFormat::Json),
        })
        .collect()
}

/// Combinations that cannot be.
fn check(reader: &mut Reader, definition: &Definition) {
    if reader.sound(&["hold", "duration"]) && definition.hold > definition.duration {
        let (hold, sale) = (definition.hold.as_secs_f64(), definition.duration.as_secs_f64());
        let path = if reader.value("hold").is_some() { "hold" } else { "duration" };
        let message = format!("a hold of {hold} s lasts longer than the sale of {sale} s");
        reader.complain(path, message, "a `hold` of at most `duration`");
    }
    let (warn, shed) = ("admission.overload.warn", "admission.overload.shed");
    let overload = &definition.admission.overload;
    if reader.sound(&[warn, shed]) && overload.warn > overload.shed {
        let path = if reader.value(warn).is_some() { warn } else { shed };
        let message = format!("warns at {}, after it sheds at {}", overload.warn, overload.shed);
        reader.complain(path, message, "a `warn` of at most `shed`");
    }
    if !definition.engine.operator_listen.ip().is_loopback() {
        let help = "a loopback address, 127.0.0.1:8081: operators elsewhere need TLS, which is not there yet";
        reader.complain("engine.operator_listen", "operators are served on loopback only", help);
    }
    let same = definition.engine.listen == definition.engine.operator_listen;
    if same && definition.engine.listen.port() != 0 {
        reader.complain("engine.operator_listen", "shoppers and operators share an address", "another port");
    }
    let units: u64 = definition.items.iter().map(|item| u64::from(item.stock)).sum();
    if units > u64::from(u32::MAX) {
        reader.complain("items", format!("{units} units in all"), "fewer than 4,294,967,296");
    }
    if let Some(crowd) = &definition.crowd {
        if crowd.people.pay + crowd.people.cancel > 1.0 {
            reader.complain(
                "crowd.people",
                "more people pay and cancel than there are",
                "shares of at most 100% together",
            );
        }
        if crowd.bots.iter().map(|family| family.share).sum::<f64>() > 1.0 {
            reader.complain("crowd.bots", "more bots than reserves", "shares of at most 100% together");
        }
    }
}
