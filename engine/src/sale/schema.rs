//! The sale file as JSON Schema, from the one table of keys: what editors complete and check by.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key, Kind, below};
use super::values::{WHOLE, currencies};

/// Digits and units, largest first, at least one.
const DURATION: &str = "^(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = object("");
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("A flash sale");
    schema
}

fn object(parent: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in below(parent) {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        properties.insert(name.to_owned(), one(key));
        if key.required {
            required.push(name);
        }
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn one(key: &Key) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let mut value = match key.kind {
        Kind::Map => object(key.path),
        Kind::List(least, most) => {
            json!({ "type": "array", "items": entry(key.path), "minItems": least, "maxItems": most })
        }
        Kind::Text | Kind::Time | Kind::Zone | Kind::Address | Kind::Host => json!({ "type": "string" }),
        Kind::Name => text("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration => text(&DURATION.replace("(?=[0-9])", "(?=.*[1-9])")),
        Kind::Moment => text(DURATION),
        Kind::Rate => text("^[0-9]+/(s|min|h)$"),
        Kind::Share => text("^(100(\\.0+)?|0?[0-9]{1,2}(\\.[0-9]+)?)%$"),
        Kind::Money => text(&money()),
        Kind::Truth => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Secret => json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "properties": { "env": { "type": "string" }, "file": { "type": "string" } }
        }),
        Kind::Any => json!({ "type": "object" }),
    };
    if !key.required && !key.path.ends_with("[]") {
        absent(&mut value);
    }
    value["description"] = json!(key.about);
    if let Some(default) = key.default {
        value["default"] = match key.kind {
            Kind::Integer(..) => default.parse::<i64>().map_or(Value::Null, Value::from),
            Kind::Truth => json!(default == "true"),
            _ => json!(default),
        };
    }
    value
}

/// `key:` alone, or `null`, is as good as absent.
fn absent(value: &mut Value) {
    match value["type"].take() {
        Value::Null => {
            if let Some(object) = value.as_object_mut() {
                object.remove("type");
            }
            if let Some(words) = value["enum"].as_array_mut() {
                words.push(Value::Null);
            }
        }
        kind => value["type"] = json!([kind, "null"]),
    }
}

/// Amounts with exactly their currency's decimals.
fn money() -> String {
    let shapes = (0..=3).filter_map(|decimals| {
        let codes = currencies(decimals).collect::<Vec<_>>().join("|");
        let part = if decimals == 0 { String::new() } else { format!("\\.[0-9]{{{decimals}}}") };
        (!codes.is_empty()).then(|| format!("{part} ({codes})"))
    });
    format!("^[0-9]{{1,{WHOLE}}}({})$", shapes.collect::<Vec<_>>().join("|"))
}

/// The entries of a list: one value, or keys.
fn entry(list: &str) -> Value {
    let path = format!("{list}[]");
    KEYS.iter().find(|key| key.path == path).map_or_else(|| object(&path), one)
}
