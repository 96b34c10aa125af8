//! The routes as an OpenAPI 3.1 document, made from the one table.

use serde_json::{Map, Value, json};

use super::problem::CODES;
use super::routes::ROUTES;

/// Codes that any route may answer with.
const ANYWHERE: [&str; 5] = ["bad_request", "method_not_allowed", "request_timeout", "body_too_large", "internal"];

/// The document.
#[must_use]
pub fn document(sale: &str) -> Value {
    let mut paths = Map::new();
    for line in ROUTES {
        let mut answers = Map::new();
        for status in line.good {
            answers.insert(status.to_string(), json!({ "description": good(*status) }));
        }
        let token = if line.token { &["unauthorized"][..] } else { &[] };
        for code in ANYWHERE.iter().chain(line.problems).chain(token) {
            let Some(meaning) = CODES.iter().find(|known| known.code == *code) else { continue };
            let answer = answers.entry(meaning.status.to_string()).or_insert_with(|| {
                json!({
                    "description": "",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
                })
            });
            let text = answer["description"].as_str().unwrap_or_default();
            let joined = if text.is_empty() { (*code).to_owned() } else { format!("{text}, {code}") };
            answer["description"] = Value::String(joined);
        }
        let mut operation = json!({ "summary": line.summary, "responses": answers });
        if let Some(name) = line.path.split(['{', '}']).nth(1) {
            operation["parameters"] =
                json!([{ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }]);
        }
        if line.token {
            operation["security"] = json!([{ "token": [] }]);
        }
        let path = paths.entry(line.path.to_owned()).or_insert_with(|| json!({}));
        path[line.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": format!("flashsale: {sale}"), "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "schemas": { "Problem": {
                "type": "object",
                "required": ["type", "title", "status", "code", "retryable"],
                "properties": {
                    "type": { "type": "string", "format": "uri" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "code": { "enum": CODES.iter().map(|known| known.code).collect::<Vec<_>>() },
                    "retryable": { "type": "boolean" },
                    "detail": { "type": "string" }
                }
            } }
        }
    })
}

const fn good(status: u16) -> &'static str {
    match status {
        201 => "A unit is held.",
        202 => "Not decided yet, or waiting: ask again.",
        304 => "Not changed.",
        _ => "The answer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_and_every_code_it_names_is_in_the_document() {
        let document = document("drop");
        for line in ROUTES {
            let operation = &document["paths"][line.path][line.method.as_str().to_lowercase()];
            assert!(operation["summary"].is_string(), "{} {}", line.method, line.path);
            for status in line.good {
                assert!(operation["responses"][status.to_string()].is_object(), "{} {status}", line.path);
            }
            for code in line.problems {
                let meaning = CODES.iter().find(|known| known.code == *code).unwrap_or_else(|| panic!("{code}"));
                let text = operation["responses"][meaning.status.to_string()]["description"].as_str().unwrap();
                assert!(text.contains(code), "{} {code}: {text}", line.path);
            }
        }
    }
}
