//! `flashsale why`

use clap::Args;
use flashsale_core::RequestKey;
use flashsale_engine::audit::why::{Step, why};
use flashsale_engine::compose::Stores;
use flashsale_engine::id::{Ids, hex, unhex16};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::stack::Borrowed;
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

/// Prints the whole history of a reservation: every step with its time and place in the log, its payments, and what
/// operators did to the sale meanwhile.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let frozen = place::frozen(&folder)?;
    let _servers = Borrowed::of(&folder)?;
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
        let logs = stores.logs(&folder, &frozen).await;
        let steps = why(&ids, &logs, history, &holds).await.map_err(|error| failed(&error))?;
        Ok::<_, Failure>((steps, payments))
    })?;
    if steps.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is known of {}", arguments.id)));
    }
    let zone = frozen.definition.timezone.as_deref();
    output::answer(context, &serde_json::json!({ "steps": steps, "payments": payments }), || {
        let mut lines: Vec<String> = steps.iter().map(|step| line(step, zone)).collect();
        lines.extend(payments.iter().map(|paid| format!("payment {} is now {:?}", hex(&paid.key.0), paid.state)));
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

fn line(step: &Step, zone: Option<&str>) -> String {
    let place = match step.generation {
        0 => format!("{}.{}", step.offset, step.index),
        generation => format!("{generation}:{}.{}", step.offset, step.index),
    };
    let mut line = format!("{}  {place:>9}  {}", moment(step.at, zone), step.what);
    if let Some(reservation) = &step.reservation {
        line = format!("{line}  {reservation}");
    }
    for (word, said) in [("payment", &step.payment), ("by", &step.by), ("request", &step.request)] {
        if let Some(said) = said {
            line = format!("{line}  {word} {said}");
        }
    }
    match step.expires_at {
        Some(at) if ["reserved", "offered", "claimed"].contains(&step.what.as_str()) => {
            format!("{line}  until {}", moment(at, None))
        }
        _ => line,
    }
}

/// A moment in UTC, and by the sale's own clock beside it.
fn moment(at: i64, zone: Option<&str>) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    let local = zone.and_then(|zone| at.in_tz(zone).ok()).map(|at| at.strftime(" (%H:%M:%S %Z)").to_string());
    format!("{}{}", at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC"), local.unwrap_or_default())
}
