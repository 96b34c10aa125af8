//! Opens and closes the sale at its times, terminal or not: an armed sale needs nobody.

use std::sync::Arc;
use std::time::Duration;

use flashsale_core::Command;
use tokio_util::sync::CancellationToken;

use crate::allocator::gauges::{Gauges, SaleView};
use crate::id::Ids;
use crate::ports::{Clock, Notifier, Severity};
use crate::record::Entry;
use crate::submit::{Submit, Submitted};

/// The longest pause between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long a command's decision is waited for before it is sent again: opening twice changes nothing.
const WITHIN: Duration = Duration::from_secs(1);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing, until then at most (Unix ms).
    Until(Option<i64>),
    /// Open.
    Open,
    /// Close.
    Close,
    /// It should open and is not armed: someone must look.
    NotArmed,
}

/// What is due at `now`.
#[must_use]
pub fn due(sale: &SaleView, now: i64) -> Due {
    if sale.closed_at.is_some() {
        return Due::Until(None);
    }
    if sale.opened_at.is_some() {
        return match sale.closes_at {
            Some(at) if at <= now => Due::Close,
            at => Due::Until(at),
        };
    }
    match (sale.opens_at, sale.armed) {
        (Some(at), _) if at > now => Due::Until(Some(at)),
        (_, true) => Due::Open,
        (Some(_), false) => Due::NotArmed,
        (None, false) => Due::Until(None),
    }
}

/// The schedule of one engine; only the active writer's view moves, so only its engine acts.
pub struct Schedule {
    /// The sale as the writer sees it.
    pub writer: Arc<Gauges>,
    /// The way into the log.
    pub submit: Arc<dyn Submit>,
    /// Change ids.
    pub ids: Ids,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Who is paged.
    pub notifier: Arc<dyn Notifier>,
}

impl Schedule {
    /// Acts until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut paged = false;
        loop {
            let pause = self.look(&mut paged).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&self, paged: &mut bool) -> Duration {
        let Some(sale) = self.writer.sale.load_full() else { return LOOK };
        let now = self.clock.now();
        match due(&sale, now) {
            Due::Until(at) => {
                let left = at.map_or(LOOK, |at| Duration::from_millis((at - now).unsigned_abs()));
                return left.min(LOOK);
            }
            Due::Open => self.append(Command::Open, "the sale opens").await,
            Due::Close => {
                self.append(Command::Close { change: self.ids.change("schedule: close") }, "the sale closes").await;
            }
            Due::NotArmed if !*paged => {
                *paged = true;
                let text =
                    "T0 is past and the sale is not armed: it stays upcoming. `flashsale run` checks and arms it";
                self.notifier.notify(Severity::Page, "not-armed", text);
            }
            Due::NotArmed => {}
        }
        LOOK
    }

    async fn append(&self, command: Command, what: &str) {
        let entry = Entry { command, words: "schedule: its time has come".into() };
        match self.submit.submit(entry, WITHIN).await {
            Submitted::Decided { outcome, .. } => {
                tracing::info!(?outcome, "{what}");
                self.notifier.notify(Severity::Notice, "schedule", what);
            }
            other => tracing::warn!(?other, "{what}, not decided yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flashsale_core::{ItemRules, Rules, State};

    use super::*;

    fn sale(armed: bool, opens_at: Option<i64>, opened: Option<i64>, closes: Option<i64>) -> SaleView {
        let items = vec![ItemRules { stock: 1, per_customer: 1 }];
        let rules = Rules { items, hold_ms: 1, offer_ms: 1, pace: None, opens_at, duration_ms: 1 };
        SaleView { armed, opened_at: opened, closes_at: closes, ..SaleView::of(&State::new(rules, 0)) }
    }

    #[test]
    fn what_is_due_follows_from_the_sale_and_the_clock() {
        assert_eq!(due(&sale(true, Some(10), None, None), 9), Due::Until(Some(10)));
        assert_eq!(due(&sale(true, Some(10), None, None), 10), Due::Open);
        assert_eq!(due(&sale(false, Some(10), None, None), 10), Due::NotArmed);
        assert_eq!(due(&sale(true, None, None, None), 0), Due::Open);
        assert_eq!(due(&sale(false, None, None, None), 0), Due::Until(None));
        assert_eq!(due(&sale(true, Some(1), Some(1), Some(5)), 4), Due::Until(Some(5)));
        assert_eq!(due(&sale(true, Some(1), Some(1), Some(5)), 5), Due::Close);
    }
}
