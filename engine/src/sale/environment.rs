//! Keys of the sale file that the environment sets: `FLASHSALE_ENGINE__LISTEN` is `engine.listen`.

use super::keys::{KEYS, Kind};

/// Names that mean something else: `FLASHSALE_SALE` says which sale is meant.
const OTHERS: [&str; 1] = ["sale"];

/// The variable that sets a key; none for maps, lists and what stands in lists.
#[must_use]
pub fn variable(path: &str) -> Option<String> {
    let key = KEYS.iter().find(|key| key.path == path)?;
    let one = !path.contains("[]") && !matches!(key.kind, Kind::Map | Kind::List(..)) && !OTHERS.contains(&path);
    one.then(|| format!("FLASHSALE_{}", path.to_uppercase().replace('.', "__")))
}

/// Every key that the environment sets, as `key.path=value`; an empty variable sets nothing.
#[must_use]
pub fn settings() -> Vec<String> {
    let set = |path: &str| {
        let value = std::env::var(variable(path)?).ok().filter(|value| !value.is_empty())?;
        Some(format!("{path}={value}"))
    };
    KEYS.iter().filter_map(|key| set(key.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn a_key_has_the_variable_of_its_path() {
        assert_eq!(variable("engine.operator_listen").as_deref(), Some("FLASHSALE_ENGINE__OPERATOR_LISTEN"));
        assert_eq!(variable("hold").as_deref(), Some("FLASHSALE_HOLD"));
        for none in ["sale", "items", "items[].sku", "engine", "no.such.key"] {
            assert_eq!(variable(none), None, "{none}");
        }
    }
}
