//! How values are written: durations, rates, shares, money, times, names.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::definition::OpensAt;
use crate::ports::Amount;

/// Currencies and their decimals (ISO 4217); more on request.
const CURRENCIES: &[(&str, u32)] = &[
    ("USD", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("CHF", 2),
    ("CAD", 2),
    ("AUD", 2),
    ("NZD", 2),
    ("SEK", 2),
    ("NOK", 2),
    ("DKK", 2),
    ("PLN", 2),
    ("CZK", 2),
    ("HUF", 2),
    ("RON", 2),
    ("BGN", 2),
    ("TRY", 2),
    ("ILS", 2),
    ("ZAR", 2),
    ("BRL", 2),
    ("MXN", 2),
    ("ARS", 2),
    ("COP", 2),
    ("PEN", 2),
    ("INR", 2),
    ("CNY", 2),
    ("HKD", 2),
    ("TWD", 2),
    ("SGD", 2),
    ("MYR", 2),
    ("THB", 2),
    ("IDR", 2),
    ("PHP", 2),
    ("AED", 2),
    ("SAR", 2),
    ("EGP", 2),
    ("NGN", 2),
    ("KES", 2),
    ("UAH", 2),
    ("JPY", 0),
    ("KRW", 0),
    ("VND", 0),
    ("CLP", 0),
    ("ISK", 0),
    ("UGX", 0),
    ("PYG", 0),
    ("BHD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("OMR", 3),
    ("TND", 3),
];

/// Digits before an amount's decimals.
pub const WHOLE: usize = 12;

/// `250ms`, `10s`, `2m`, `1h30m`: units are required, largest first.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).len();
        let (unit, after) = tail.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        if millis >= last {
            return None;
        }
        last = millis;
        total = total.checked_add(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))?;
        rest = after;
    }
    (last != u64::MAX).then_some(total)
}

/// `N/s`, `N/min`, `N/h` as events a second, rounded up.
#[must_use]
pub fn rate(text: &str) -> Option<u32> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        _ => return None,
    };
    count.parse::<u32>().ok().filter(|_| digits(count)).map(|count| count.div_ceil(seconds))
}

/// `20%` or `99.9%` as 0 to 1.
#[must_use]
pub fn share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let value: f64 = number.parse().ok().filter(|_| whole.len() <= 3 && digits(whole) && digits(part))?;
    (0.0..=100.0).contains(&value).then_some(value / 100.0)
}

/// `"12.34 USD"`, with exactly the currency's decimals.
///
/// # Errors
/// What to write instead.
pub fn money(text: &str) -> Result<Amount, String> {
    let (number, currency) = text.rsplit_once(' ').ok_or_else(|| "\"12.34 USD\"".to_owned())?;
    let decimals = CURRENCIES
        .iter()
        .find(|(code, _)| *code == currency)
        .map(|(_, decimals)| *decimals)
        .ok_or_else(|| "an ISO 4217 currency, \"12.34 USD\"".to_owned())?;
    let shape = || match decimals {
        0 => format!("\"1234 {currency}\" ({currency} has no decimals)"),
        _ => format!("\"12.{} {currency}\" ({currency} has {decimals} decimals)", "3".repeat(decimals as usize)),
    };
    let (whole, part) = match decimals {
        0 => (number, None),
        _ => number.split_once('.').map_or((number, Some("")), |(whole, part)| (whole, Some(part))),
    };
    let fits = part.is_none_or(|part| part.len() == decimals as usize && digits(part));
    if whole.len() > WHOLE || !digits(whole) || !fits {
        return Err(shape());
    }
    let part = part.unwrap_or_default();
    let minor = format!("{whole}{part}").parse::<i64>().map_err(|_| shape())?;
    let mut code = [0; 3];
    code.copy_from_slice(currency.as_bytes());
    Ok(Amount { minor, currency: code })
}

/// The currencies of so many decimals.
pub fn currencies(decimals: u32) -> impl Iterator<Item = &'static str> {
    CURRENCIES.iter().filter(move |(_, known)| *known == decimals).map(|(code, _)| *code)
}

/// One digit or more, and nothing else: no sign, no space.
fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= 63 && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.bytes().all(rest)
}

/// With an offset, with a zone, or `in 10s`.
///
/// # Errors
/// What to write instead.
pub fn time(text: &str) -> Result<OpensAt, String> {
    if let Some(wait) = text.strip_prefix("in ") {
        return duration(wait.trim()).map(OpensAt::In).ok_or_else(|| "\"in 10s\"".to_owned());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(OpensAt::At(at));
    }
    let Some((civil, zone)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
        return Err(
            "2026-11-27T17:00:00Z, or 2026-11-27T12:00[America/New_York]: a day that exists, with an offset or a zone"
                .into(),
        );
    };
    if let Ok(zoned) = text.parse::<Zoned>()
        && civil.parse::<DateTime>().is_err()
    {
        return Ok(OpensAt::At(zoned.timestamp()));
    }
    let civil: DateTime = civil.parse().map_err(|_| "2026-11-27T12:00[America/New_York]".to_owned())?;
    let zone = TimeZone::get(zone).map_err(|_| "an IANA zone such as America/New_York".to_owned())?;
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { .. } => {
            zone.to_timestamp(civil).map(OpensAt::At).map_err(|error| error.to_string())
        }
        AmbiguousOffset::Gap { .. } => {
            Err("a time with an offset: this one is skipped when clocks go forward".to_owned())
        }
        AmbiguousOffset::Fold { .. } => {
            Err("a time with an offset: this one comes twice when clocks go back".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_units() {
        for (text, millis) in [("250ms", 250), ("10s", 10_000), ("2m", 120_000), ("1h30m", 5_400_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "10 s", "1m1h", "1s1s", "-1s", "1.5s", "99999999999999999999s", "5é"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn money_has_its_currency_s_decimals() {
        assert_eq!(money("200.00 USD").unwrap().minor, 20_000);
        assert_eq!(money("1500 JPY").unwrap().minor, 1_500);
        for text in ["200 USD", "200.0 USD", "1500.00 JPY", "200.00", "200.00 XYZ", "-1.00 USD", "1.00 usd", " USD"] {
            assert!(money(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_says_where_it_is() {
        let at = |text: &str| Ok(OpensAt::At(text.parse().unwrap()));
        assert_eq!(time("2026-11-27T17:00:00Z"), at("2026-11-27T17:00:00Z"));
        assert_eq!(time("2026-11-27T12:00:00-05:00"), at("2026-11-27T17:00:00Z"));
        assert_eq!(time("2026-11-27T12:00[America/New_York]"), at("2026-11-27T17:00:00Z"));
        assert_eq!(time("in 10s"), Ok(OpensAt::In(Duration::from_secs(10))));
        for text in [
            "2026-11-27T12:00",
            "tomorrow",
            "in ten seconds",
            "2026-03-08T02:30[America/New_York]",
            "2026-11-01T01:30[America/New_York]",
            "2026-11-27T12:00[Nowhere/City]",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_shares_and_names() {
        assert_eq!((rate("1000/s"), rate("100/min"), rate("5")), (Some(1_000), Some(2), None));
        assert_eq!((share("20%"), share("101%"), share("0.2")), (Some(0.2), None, None));
        assert!(is_name("sneaker-drop") && !is_name("-x") && !is_name("") && !is_name("a b"));
    }
}
