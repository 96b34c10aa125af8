//! The one table of shoppers' routes: the dispatcher, the counters and OpenAPI all read it.

use hyper::Method;

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Is it available?
    Availability,
    /// Reserve one unit.
    Reserve,
    /// All product data.
    Products,
    /// One item's product data.
    Product,
    /// What a request came to.
    Request,
    /// One reservation.
    Reservation,
    /// Give it back.
    Cancel,
    /// Take an offer.
    Claim,
    /// Pay.
    Checkout,
    /// This table as OpenAPI.
    OpenApi,
    /// The process lives.
    Healthz,
    /// It may get traffic.
    Readyz,
}

/// What the table says of a route.
pub struct Line {
    /// Which.
    pub route: Route,
    /// Method.
    pub method: Method,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// In one sentence.
    pub summary: &'static str,
    /// A bearer token is required.
    pub token: bool,
    /// Statuses that are not problems.
    pub good: &'static [u16],
    /// Codes of its problems, beside those that any route may give.
    pub problems: &'static [&'static str],
}

/// Every route, the hottest first.
pub const ROUTES: &[Line] = &[
    line(
        Route::Availability,
        Method::GET,
        "/v1/skus/{sku}/availability",
        "Units available, held and sold; from memory, cacheable.",
        false,
        &[200, 304],
        &["not_found"],
    ),
    line(
        Route::Reserve,
        Method::POST,
        "/v1/skus/{sku}/reserve",
        "Holds one unit; with {\"wait\": true} joins the waitlist when all are held.",
        true,
        &[201, 202],
        &[
            "not_found",
            "sold_out",
            "all_held",
            "limit_reached",
            "not_open",
            "closed",
            "halted",
            "paced",
            "idempotency_mismatch",
            "overloaded",
        ],
    ),
    line(Route::Products, Method::GET, "/v1/skus", "Product data of every item, cacheable.", false, &[200], &[]),
    line(
        Route::Product,
        Method::GET,
        "/v1/skus/{sku}",
        "Product data of one item, cacheable.",
        false,
        &[200],
        &["not_found"],
    ),
    line(
        Route::Request,
        Method::GET,
        "/v1/requests/{request_id}",
        "What a reserve came to, for who got 202 or lost the answer.",
        true,
        &[200, 202],
        &["not_found", "sold_out", "all_held", "limit_reached", "not_open", "closed", "halted", "paced"],
    ),
    line(
        Route::Reservation,
        Method::GET,
        "/v1/reservations/{id}",
        "One reservation, for its subject and the shop's server.",
        true,
        &[200],
        &["not_found"],
    ),
    line(
        Route::Cancel,
        Method::DELETE,
        "/v1/reservations/{id}",
        "Gives a reservation back.",
        true,
        &[200, 202],
        &["not_found", "already_paid", "hold_expired", "overloaded"],
    ),
    line(
        Route::Claim,
        Method::POST,
        "/v1/reservations/{id}/claim",
        "Turns a waitlist offer into a hold.",
        true,
        &[200, 202],
        &["not_found", "all_held", "already_paid", "hold_expired", "overloaded"],
    ),
    line(
        Route::Checkout,
        Method::POST,
        "/v1/reservations/{id}/checkout",
        "Pays: authorize, sell, capture.",
        true,
        &[200, 202],
        &[
            "not_found",
            "payment_declined",
            "already_paid",
            "hold_expired",
            "all_held",
            "payment_limit",
            "halted",
            "idempotency_mismatch",
            "overloaded",
        ],
    ),
    line(Route::OpenApi, Method::GET, "/openapi.json", "This API as OpenAPI 3.1.", false, &[200], &[]),
    line(Route::Healthz, Method::GET, "/healthz", "The process lives.", false, &[200], &[]),
    line(Route::Readyz, Method::GET, "/readyz", "It may get traffic.", false, &[200], &["overloaded"]),
];

#[allow(clippy::too_many_arguments)]
const fn line(
    route: Route,
    method: Method,
    path: &'static str,
    summary: &'static str,
    token: bool,
    good: &'static [u16],
    problems: &'static [&'static str],
) -> Line {
    Line { route, method, path, summary, token, good, problems }
}

/// What a request's method and path lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A route, with its parameter.
    Route(Route, &'a str),
    /// The path is known, the method is not.
    OtherMethod(Vec<Method>),
    /// Nothing.
    Nothing,
}

/// Finds a route. `HEAD` is `GET`; hyper leaves its body out.
#[must_use]
pub fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    for line in ROUTES {
        if let Some(parameter) = matches(line.path, path) {
            if line.method == *method {
                return Found::Route(line.route, parameter);
            }
            others.push(line.method.clone());
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethod(others) }
}

/// The parameter of a path that fits a template; empty for a template without one.
fn matches<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some(open) = template.find('{') else { return (template == path).then_some("") };
    let close = template.find('}')?;
    let (before, after) = (template.get(..open)?, template.get(close + 1..)?);
    let parameter = path.strip_prefix(before)?.strip_suffix(after)?;
    (!parameter.is_empty() && !parameter.contains('/')).then_some(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_route() {
        let rows = [
            (Method::GET, "/v1/skus/S-1/availability", Found::Route(Route::Availability, "S-1")),
            (Method::HEAD, "/v1/skus/S-1/availability", Found::Route(Route::Availability, "S-1")),
            (Method::POST, "/v1/skus/S-1/reserve", Found::Route(Route::Reserve, "S-1")),
            (Method::GET, "/v1/skus/S-1", Found::Route(Route::Product, "S-1")),
            (Method::GET, "/v1/skus", Found::Route(Route::Products, "")),
            (Method::DELETE, "/v1/reservations/res-1", Found::Route(Route::Cancel, "res-1")),
            (Method::PUT, "/v1/reservations/res-1", Found::OtherMethod(vec![Method::GET, Method::DELETE])),
            (Method::GET, "/v1/skus//availability", Found::Nothing),
            (Method::GET, "/v1/skus/a/b/availability", Found::Nothing),
            (Method::GET, "/", Found::Nothing),
        ];
        for (method, path, expected) in rows {
            assert_eq!(find(&method, path), expected, "{method} {path}");
        }
    }
}
