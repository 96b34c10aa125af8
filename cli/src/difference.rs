//! What differs between a frozen definition and a file: by key, with what to do instead where a change cannot be applied.

use std::collections::BTreeMap;
use std::time::Duration;

use flashsale_engine::sale::Definition;
use flashsale_engine::sale::keys::{Kind, find};
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// The keys that change while a sale runs.
const CHANGING: &str = "pace";

/// One key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key's path, as in the file; an entry of `items` by its SKU: `items[S-1].stock`.
    pub key: String,
    /// The frozen value, `none` when there is none.
    pub frozen: String,
    /// The file's.
    pub file: String,
    /// What to do instead; none for a key that may change while the sale runs.
    pub instead: Option<String>,
}

/// Every key that differs, in the keys' order.
pub fn differences(frozen: &Definition, file: &Definition) -> Result<Vec<Difference>, Failure> {
    let (frozen, file) = (leaves(frozen)?, leaves(file)?);
    let mut keys: Vec<&String> = frozen.keys().chain(file.keys()).collect();
    keys.sort();
    keys.dedup();
    let differing = keys.into_iter().filter(|key| frozen.get(*key) != file.get(*key));
    Ok(differing.map(|key| difference(key, frozen.get(key), file.get(key))).collect())
}

fn difference(key: &str, frozen: Option<&Value>, file: Option<&Value>) -> Difference {
    let instead = (key != CHANGING).then(|| instead(key, frozen, file));
    Difference { key: key.to_owned(), frozen: shown(key, frozen), file: shown(key, file), instead }
}

/// What reaches the same end while the sale runs, or when it may happen.
fn instead(key: &str, frozen: Option<&Value>, file: Option<&Value>) -> String {
    let stock = |value: Option<&Value>| value.and_then(Value::as_i64);
    let sku = key.strip_prefix("items[").and_then(|rest| rest.strip_suffix("].stock"));
    match (key, sku, stock(frozen), stock(file)) {
        ("opens_at", ..) => "flashsale reschedule MOMENT".to_owned(),
        ("duration", ..) => "flashsale extend MOMENT".to_owned(),
        (_, Some(sku), Some(from), Some(to)) => format!("flashsale adjust {sku} --by {}", to - from),
        _ => "only the next run can have it: flashsale run FILE --new-run".to_owned(),
    }
}

/// Every value of a definition by its path.
fn leaves(definition: &Definition) -> Result<BTreeMap<String, Value>, Failure> {
    let value = serde_json::to_value(definition).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let mut found = BTreeMap::new();
    collect("", &value, &mut found);
    Ok(found)
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        // An opening time and an amount of money are one value, however they are kept.
        Value::Object(_) if path == "opens_at" || path.ends_with("].price") => {
            _ = found.insert(path.into(), value.clone())
        }
        Value::Object(keys) => {
            for (key, value) in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(as_written(&below), value, found);
            }
        }
        Value::Array(entries) if path == "items" => {
            for entry in entries {
                collect(&format!("items[{}]", entry["sku"].as_str().unwrap_or_default()), entry, found);
            }
        }
        value => _ = found.insert(path.to_owned(), value.clone()),
    }
}

/// The file's name for a key that the definition keeps elsewhere.
fn as_written(path: &str) -> &str {
    match path {
        "engine.cors_origins" => "engine.cors.origins",
        "engine.token_keys" => "engine.tokens.keys",
        path => path,
    }
}

/// A value as people write it.
fn shown(key: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    let general = match (key.find('['), key.find(']')) {
        (Some(from), Some(to)) => format!("{}[]{}", &key[..from], &key[to + 1..]),
        _ => key.to_owned(),
    };
    match (find(&general).map(|key| key.kind), value) {
        (Some(Kind::Duration | Kind::Moment), value) if value.is_u64() => {
            format!("{:?}", Duration::from_millis(value.as_u64().unwrap_or_default()))
        }
        (Some(Kind::Money), value) => {
            let currency: Vec<u8> = serde_json::from_value(value["currency"].clone()).unwrap_or_default();
            format!("{} {} (smallest unit)", value["minor"], String::from_utf8_lossy(&currency))
        }
        (Some(Kind::Time), value) => match (value["at"].as_str(), value["in"].as_u64()) {
            (Some(at), _) => at.to_owned(),
            (None, wait) => format!("in {:?}", Duration::from_millis(wait.unwrap_or_default())),
        },
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PLAIN: &str = "sale: tiny\nduration: 30m\nitems:\n  - { sku: A-1, stock: 10, price: \"2.00 USD\" }\n";

    fn definition(text: &str) -> Definition {
        flashsale_engine::sale::read(text, "sale.yaml", &[]).unwrap().definition
    }

    /// (changed text, the key that differs, its values, what to do instead)
    #[test]
    fn every_difference_has_its_name_and_its_way_out() {
        let next = "only the next run can have it: flashsale run FILE --new-run";
        type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<&'static str>);
        let table: [Row; 9] = [
            ("items:", "pace: 50\nitems:", "pace", "none", "50", None),
            ("stock: 10", "stock: 7", "items[A-1].stock", "10", "7", Some("flashsale adjust A-1 --by -3")),
            ("duration: 30m", "duration: 1h", "duration", "1800s", "3600s", Some("flashsale extend MOMENT")),
            ("items:", "opens_at: in 5s\nitems:", "opens_at", "none", "in 5s", Some("flashsale reschedule MOMENT")),
            (
                "2.00 USD",
                "3.00 USD",
                "items[A-1].price",
                "200 USD (smallest unit)",
                "300 USD (smallest unit)",
                Some(next),
            ),
            ("items:", "hold: 1m\nitems:", "hold", "120s", "60s", Some(next)),
            (
                "items:",
                "engine: { cors: { origins: [\"*\"] } }\nitems:",
                "engine.cors.origins",
                "[]",
                "[\"*\"]",
                Some(next),
            ),
            ("items:", "payments: { reply_within: 1s }\nitems:", "payments.reply_within", "400ms", "1s", Some(next)),
            ("stock: 10", "stock: 10, metadata: { a: b }", "items[A-1].metadata.a", "none", "b", Some(next)),
        ];
        for (from, to, key, frozen, file, instead) in table {
            let found = differences(&definition(PLAIN), &definition(&PLAIN.replacen(from, to, 1))).unwrap();
            let expected = Difference {
                key: key.to_owned(),
                frozen: frozen.to_owned(),
                file: file.to_owned(),
                instead: instead.map(str::to_owned),
            };
            assert_eq!(found, [expected], "{to}");
        }
    }

    #[test]
    fn another_item_is_named_and_the_same_text_differs_nowhere() {
        let more = format!("{PLAIN}  - {{ sku: B-2, stock: 1, price: \"2.00 USD\" }}\n");
        let found = differences(&definition(PLAIN), &definition(&more)).unwrap();
        assert!(found.iter().any(|differing| differing.key == "items[B-2].sku" && differing.instead.is_some()));
        assert_eq!(differences(&definition(&more), &definition(&format!("# a comment\n{more}"))).unwrap(), []);
    }
}
