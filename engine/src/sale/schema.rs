//! The sale file as JSON Schema, from the one table of keys: what editors complete and check by.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key, Kind, below};

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
        Kind::List => json!({ "type": "array", "items": entry(key.path) }),
        Kind::Text | Kind::Time | Kind::Zone | Kind::Address => json!({ "type": "string" }),
        Kind::Name => text("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration => text("^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"),
        Kind::Rate => text("^[0-9]+/(s|min|h)$"),
        Kind::Share => text("^[0-9]+(\\.[0-9]+)?%$"),
        Kind::Money => text("^[0-9]+(\\.[0-9]+)? [A-Z]{3}$"),
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
    value["description"] = json!(key.about);
    if let Some(default) = key.default {
        value["default"] = match key.kind {
            Kind::Integer(..) => default.parse::<i64>().map_or(Value::Null, Value::from),
            _ => json!(default),
        };
    }
    value
}

/// The entries of a list: one value, or keys.
fn entry(list: &str) -> Value {
    let path = format!("{list}[]");
    KEYS.iter().find(|key| key.path == path).map_or_else(|| object(&path), one)
}
