//! `flashsale why`

use clap::Args;
use flashsale_core::RequestKey;
use flashsale_engine::audit::trace;
use flashsale_engine::compose::Stores;
use flashsale_engine::id::{Ids, unhex16};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{output, place};

/// The most reservations of one subject that are told.
const MOST: u32 = 100;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A reservation (res-...), an order (ord-...), a request id, or a subject
    id: String,
    /// The sale: a file or a name
    #[arg(long = "sale", value_name = "TARGET")]
    target: Option<String>,
}

/// Prints the whole history of a reservation.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let ids = Ids::new(frozen.run);
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let (steps, payments) = crate::runtime()?.block_on(async {
        let stores = Stores::open_reader(&folder, &frozen).await.map_err(|error| failed(&error))?;
        let history = &*stores.history;
        let holds = if let Some(hold) = ids.hold(&arguments.id) {
            vec![hold]
        } else if let Some(request) = unhex16(&arguments.id) {
            let row = history.request(RequestKey(request)).await.map_err(|error| failed(&error))?;
            row.iter().map(|row| row.view.hold).collect()
        } else {
            let rows = history.subject(&arguments.id, MOST).await.map_err(|error| failed(&error))?;
            rows.iter().map(|row| row.view.hold).collect()
        };
        let mut payments = Vec::new();
        for hold in &holds {
            payments.extend(history.payments(*hold).await.map_err(|error| failed(&error))?);
        }
        let steps = trace::why(&ids, history, &holds).await.map_err(|error| failed(&error))?;
        Ok::<_, Failure>((steps, payments))
    })?;
    if steps.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is known of {}", arguments.id)));
    }
    output::answer(context, &serde_json::json!({ "steps": steps, "payments": payments }), || {
        let line = |step: &trace::Step| {
            let at = jiff::Timestamp::from_millisecond(step.at).unwrap_or_default();
            let who = step.subject.as_ref().map(|who| format!("  by {who}")).unwrap_or_default();
            format!("{at:.3}  {}  {:<14} offset {}.{}{who}", step.reservation, step.what, step.offset, step.index)
        };
        let mut lines: Vec<String> = steps.iter().map(line).collect();
        lines.extend(
            payments.iter().map(|paid| format!("payment {}  {:?}", flashsale_engine::id::hex(&paid.key.0), paid.state)),
        );
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}
