//! The verbs that change a running sale: halt, resume, close, pace, adjust, reschedule, extend.

use clap::Args;
use flashsale_engine::operator::wire::Change;
use flashsale_engine::sale::definition::OpensAt;
use flashsale_engine::sale::values;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{output, place};

/// What every change takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The sale: a file, an operator URL or a name
    #[arg(long = "sale", value_name = "TARGET")]
    target: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Say what would happen, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `halt`.
#[derive(Debug, Args)]
pub struct Halt {
    /// The sale: a file, an operator URL or a name
    #[arg(conflicts_with = "target")]
    sale: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Stop checkout too; log time stands still, so that open holds lose nothing
    #[arg(long)]
    all: bool,
}

/// Arguments of `resume` and `close`.
#[derive(Debug, Args)]
pub struct Plain {
    /// The sale: a file, an operator URL or a name
    #[arg(conflicts_with = "target")]
    sale: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `pace`.
#[derive(Debug, Args)]
pub struct Pace {
    /// Grants a second, or `none`
    rate: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `adjust`.
#[derive(Debug, Args)]
pub struct Adjust {
    /// The item
    sku: String,
    /// Units added, or taken below zero
    #[arg(long, allow_hyphen_values = true, conflicts_with = "shortage", required_unless_present = "shortage")]
    by: Option<i32>,
    /// Units missing in all: a number of its own that never breaks the stock check
    #[arg(long)]
    shortage: Option<u32>,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `reschedule` and `extend`.
#[derive(Debug, Args)]
pub struct Moment {
    /// A moment: 2026-11-27T17:00:00Z, 2026-11-27T12:00[America/New_York], "in 10m"
    at: String,
    #[command(flatten)]
    common: Common,
}

/// `flashsale halt`
pub fn halt(arguments: &Halt, context: &Context) -> Result<Exit, Failure> {
    if arguments.all && !arguments.common.dry_run {
        let target = place::target(context, arguments.sale.as_deref().or(arguments.common.target.as_deref()))?;
        let sale = crate::runtime()?.block_on(Client::to(context, &target)?.status())?.sale;
        output::approve(context, "stop checkout as well", &sale)?;
    }
    make(Change::Halt { all: arguments.all }, arguments.sale.as_deref(), &arguments.common, context)
}

/// `flashsale resume`
pub fn resume(arguments: &Plain, context: &Context) -> Result<Exit, Failure> {
    make(Change::Resume, arguments.sale.as_deref(), &arguments.common, context)
}

/// `flashsale close`
pub fn close(arguments: &Plain, context: &Context) -> Result<Exit, Failure> {
    if !arguments.common.dry_run {
        output::agree(context, "close the sale for good")?;
    }
    make(Change::Close, arguments.sale.as_deref(), &arguments.common, context)
}

/// `flashsale pace`
pub fn pace(arguments: &Pace, context: &Context) -> Result<Exit, Failure> {
    let units_per_second = match arguments.rate.as_str() {
        "none" => None,
        rate => Some(rate.parse().ok().filter(|rate| *rate > 0).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("{rate} is no pace")).help("units a second, 400, or none")
        })?),
    };
    make(Change::Pace { units_per_second }, None, &arguments.common, context)
}

/// `flashsale adjust`
pub fn adjust(arguments: &Adjust, context: &Context) -> Result<Exit, Failure> {
    let change = Change::Adjust { sku: arguments.sku.clone(), units: arguments.by, shortage: arguments.shortage };
    make(change, None, &arguments.common, context)
}

/// `flashsale reschedule`
pub fn reschedule(arguments: &Moment, context: &Context) -> Result<Exit, Failure> {
    make(Change::Reschedule { opens_at: moment(&arguments.at)? }, None, &arguments.common, context)
}

/// `flashsale extend`
pub fn extend(arguments: &Moment, context: &Context) -> Result<Exit, Failure> {
    make(Change::Extend { closes_at: moment(&arguments.at)? }, None, &arguments.common, context)
}

fn moment(text: &str) -> Result<i64, Failure> {
    let wrong = |help: String| Failure::new(Exit::Usage, format!("{text} is not a moment")).help(help);
    match values::time(text).map_err(wrong)? {
        OpensAt::At(at) => Ok(at.as_millisecond()),
        OpensAt::In(wait) => {
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Ok(jiff::Timestamp::now().as_millisecond().saturating_add(wait))
        }
    }
}

fn make(change: Change, sale: Option<&str>, common: &Common, context: &Context) -> Result<Exit, Failure> {
    let target = place::target(context, sale.or(common.target.as_deref()))?;
    let client = Client::to(context, &target)?;
    if common.dry_run {
        output::answer(context, &change, || format!("would ask {} for {change:?}", client.url))?;
        return Ok(Exit::Done);
    }
    let changed = crate::runtime()?.block_on(client.change(change, &common.reason))?;
    output::answer(context, &changed, || changed.steps.join("\n"))?;
    Ok(Exit::Done)
}
