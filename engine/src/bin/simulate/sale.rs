//! The small sale of a seed: few units, few customers, short holds, so that everybody is in everybody's way.

use flashsale_core::{ItemRules, RULES_VERSION, Rules};
use flashsale_engine::id::Ids;
use flashsale_engine::ports::Amount;
use flashsale_engine::record::Define;
use flashsale_engine::sale::{Frozen, read};
use jiff::Timestamp;
use uuid::Uuid;

use crate::chance::Chance;

/// The moment at which every seed begins, Unix ms.
pub const NOON: i64 = 1_795_608_000_000;

/// What a seed's sale is.
pub struct Sale {
    /// Its rules.
    pub rules: Rules,
    /// As `up` would have frozen it.
    pub frozen: Frozen,
    /// Its names.
    pub ids: Ids,
    /// An item's price.
    pub prices: Vec<Amount>,
    /// The writer's first record.
    pub define: Define,
}

impl Sale {
    /// Draws one.
    ///
    /// # Errors
    /// When the product's reader refuses the definition.
    pub fn draw(chance: &mut Chance) -> Result<Self, String> {
        let items = (0..chance.between(1, 3)).map(|_| ItemRules {
            stock: u32::try_from(chance.between(1, 8)).unwrap_or(1),
            per_customer: u16::try_from(chance.between(1, 3)).unwrap_or(1),
        });
        let items: Vec<ItemRules> = items.collect();
        let rules = Rules {
            items,
            hold_ms: u32::try_from(chance.between(400, 2_500)).unwrap_or(1_000),
            offer_ms: u32::try_from(chance.between(200, 900)).unwrap_or(500),
            pace: chance.percent(25).then(|| u32::try_from(chance.between(3, 40)).unwrap_or(10)),
            opens_at: None,
            duration_ms: 3_600_000,
        };
        let run = Uuid::from_bytes(chance.key());
        let frozen = frozen(run, &rules)?;
        let define = Define { run, rules_version: RULES_VERSION, rules: rules.clone(), definition: String::new() };
        let prices = frozen.definition.items.iter().map(|item| item.price).collect();
        Ok(Self { rules, frozen, ids: Ids::new(run), prices, define })
    }
}

/// The definition as an operator would write it, so that the product's own reader makes it.
fn frozen(run: Uuid, rules: &Rules) -> Result<Frozen, String> {
    let mut text = format!("sale: simulated\nduration: 1h\nhold: {}ms\n", rules.hold_ms);
    text += "admission: { overload: { warn: 10, shed: 60, max_queue_age: 400ms } }\nitems:\n";
    for (number, ItemRules { stock, per_customer }) in rules.items.iter().enumerate() {
        let price = format!("1.0{number} USD");
        text +=
            &format!("  - {{ sku: SKU-{number}, stock: {stock}, price: \"{price}\", per_customer: {per_customer} }}\n");
    }
    let complaints = |problems: Vec<_>| format!("the definition is refused: {problems:?}");
    let definition = read(&text, "simulated.yaml", &[]).map_err(complaints)?.definition;
    Ok(Frozen {
        run,
        frozen_at: Timestamp::from_millisecond(NOON).map_err(|error| error.to_string())?,
        opens_at: None,
        rehearsal: false,
        source_hash: String::new(),
        definition,
    })
}
