//! What follows from the frozen definition: the log's first record, and the facts that gateways answer with.

use std::io;

use bytes::Bytes;

use super::ServeError;
use super::stores::prices;
use crate::gateway::connection::Limits;
use crate::gateway::desk::Facts;
use crate::gateway::openapi;
use crate::record::Define;
use crate::sale::Frozen;

/// The log's first record.
pub(super) fn define(frozen: &Frozen) -> Result<Define, ServeError> {
    Ok(Define {
        run: frozen.run,
        rules_version: flashsale_core::RULES_VERSION,
        rules: frozen.definition.rules(frozen.opens_at),
        definition: serde_json::to_string(&frozen.definition).map_err(io::Error::other)?,
    })
}

pub(super) fn facts(frozen: &Frozen, limits: Limits) -> Facts {
    let definition = &frozen.definition;
    let product = |item: &crate::sale::definition::Item| {
        serde_json::json!({
            "sku": item.sku,
            "name": item.name,
            "price": {
                "minor": item.price.minor,
                "currency": String::from_utf8_lossy(&item.price.currency),
            },
            "per_customer": item.per_customer,
            "metadata": item.metadata,
        })
    };
    let products: Vec<serde_json::Value> = definition.items.iter().map(product).collect();
    Facts {
        prices: prices(frozen),
        catalogue: Bytes::from(serde_json::json!({ "skus": products }).to_string()),
        products: products.iter().map(|product| Bytes::from(product.to_string())).collect(),
        openapi: Bytes::from(openapi::document(&definition.sale).to_string()),
        hold: definition.hold,
        reply_within: definition.engine.reply_within,
        pay_within: definition.payments.reply_within,
        origins: definition.engine.cors_origins.clone(),
        limits,
    }
}
