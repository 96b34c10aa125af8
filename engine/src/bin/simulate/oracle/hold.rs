//! What shoppers do with units.

use flashsale_core::{HoldNumber, HoldStatus, Outcome, Phase, Refusal, RequestKey, SubjectKey};

use super::{Hold, Oracle, no};

impl Oracle {
    pub(super) fn reserve(&mut self, request: RequestKey, subject: SubjectKey, item: u16, wait: bool) -> Outcome {
        if let Some((hold, _)) = self.requests.get(&request).copied() {
            return match self.hold(hold) {
                Some(held) if held.item != item => no(Refusal::IdempotencyMismatch),
                Some(held) if matches!(held.status, HoldStatus::Waiting | HoldStatus::Offered) => {
                    Outcome::Waiting { hold, replayed: true }
                }
                _ => self.granted(hold, true),
            };
        }
        match self.phase() {
            Phase::Live => {}
            Phase::Upcoming => return no(Refusal::NotOpen),
            Phase::Halted => return no(Refusal::Halted),
            Phase::Closed => return no(Refusal::Closed),
        }
        let Some([stock, _, held, _, waiting]) = self.numbers(item) else { return no(Refusal::NotFound) };
        if held == 0 && self.free(item) == 0 {
            return no(Refusal::SoldOut);
        }
        let full = self.available(item) == 0;
        if full && (!wait || waiting >= stock) {
            return no(Refusal::AllHeld);
        }
        if !self.allows(subject, item) {
            return no(Refusal::LimitReached);
        }
        let offset = self.place.0;
        if full {
            let hold = self.add(subject, item, HoldStatus::Waiting);
            self.tell("reservation.waiting");
            self.requests.insert(request, (hold, offset));
            return Outcome::Waiting { hold, replayed: false };
        }
        if self.pace.is_some() {
            if self.tokens < 1_000 {
                return no(Refusal::Paced);
            }
            self.tokens -= 1_000;
        }
        let hold = self.grant(subject, item);
        self.requests.insert(request, (hold, offset));
        self.granted(hold, false)
    }

    pub(super) fn grant(&mut self, subject: SubjectKey, item: u16) -> HoldNumber {
        let hold = self.add(subject, item, HoldStatus::Held);
        self.tell("reservation.created");
        hold
    }

    pub(super) fn claim(&mut self, number: HoldNumber, subject: SubjectKey) -> Outcome {
        match self.own(number, subject) {
            None => no(Refusal::NotFound),
            Some(HoldStatus::Offered) => {
                self.begin(number, HoldStatus::Held);
                self.tell("reservation.claimed");
                self.granted(number, false)
            }
            Some(HoldStatus::Held) => self.granted(number, true),
            Some(HoldStatus::Waiting) => no(Refusal::AllHeld),
            Some(HoldStatus::Confirmed | HoldStatus::Refunded) => no(Refusal::AlreadyPaid),
            Some(_) => no(Refusal::HoldExpired),
        }
    }

    pub(super) fn cancel(&mut self, number: HoldNumber, subject: SubjectKey) -> Outcome {
        match self.own(number, subject) {
            None => no(Refusal::NotFound),
            Some(HoldStatus::Cancelled) => Outcome::Unchanged,
            Some(HoldStatus::Held | HoldStatus::Offered | HoldStatus::Waiting) => {
                self.end(number, HoldStatus::Cancelled, "reservation.cancelled");
                Outcome::Done
            }
            Some(HoldStatus::Confirmed | HoldStatus::Refunded) => no(Refusal::AlreadyPaid),
            Some(_) => no(Refusal::HoldExpired),
        }
    }

    /// The next hold, else the next offer, whose time is over.
    pub(super) fn due(&self) -> Option<HoldNumber> {
        let first = |status: HoldStatus, is_due: &dyn Fn(&Hold) -> bool| {
            let live = (0..).zip(&self.holds).filter(|(_, hold)| hold.status == status);
            live.min_by_key(|(_, hold)| hold.begun).filter(|(_, hold)| is_due(hold)).map(|(number, _)| number)
        };
        first(HoldStatus::Held, &|hold| hold.since + self.hold_ms <= self.now)
            .or_else(|| first(HoldStatus::Offered, &|hold| hold.offer_ends <= self.offers_now))
    }

    /// Ends a hold, an offer or a wait; a unit that is free now goes to whoever is first in line.
    pub(super) fn end(&mut self, number: HoldNumber, status: HoldStatus, kind: &'static str) {
        let Some(hold) = self.holds.get_mut(number as usize) else { return };
        hold.status = status;
        let item = hold.item;
        self.tell(kind);
        self.offer(item);
    }

    /// Offers what is free to whoever is first in line, while the sale is live.
    pub(super) fn offer(&mut self, item: u16) {
        while self.phase() == Phase::Live && self.free(item) > 0 {
            let Some(number) = self.first_in_line(item) else { return };
            self.begin(number, HoldStatus::Offered);
            self.tell("reservation.offered");
        }
    }

    pub(super) fn first_in_line(&self, item: u16) -> Option<HoldNumber> {
        let waits = |hold: &Hold| hold.item == item && hold.status == HoldStatus::Waiting;
        (0..).zip(&self.holds).find(|(_, hold)| waits(hold)).map(|(number, _)| number)
    }

    pub(super) fn begin(&mut self, number: HoldNumber, status: HoldStatus) {
        self.order += 1;
        let (now, drift, order) = (self.now, self.drift(), self.order);
        let ends = self.offers_now + self.offer_ms;
        if let Some(hold) = self.holds.get_mut(number as usize) {
            (hold.status, hold.since, hold.drift, hold.begun) = (status, now, drift, order);
            hold.offered = status == HoldStatus::Offered;
            hold.offer_ends = ends;
        }
    }

    fn add(&mut self, subject: SubjectKey, item: u16, status: HoldStatus) -> HoldNumber {
        let number = HoldNumber::try_from(self.holds.len()).unwrap_or(HoldNumber::MAX);
        self.holds.push(Hold {
            subject,
            item,
            status,
            since: 0,
            drift: 0,
            offered: false,
            offer_ends: 0,
            begun: 0,
            payment: None,
            refund: None,
            attempts: 0,
        });
        self.begin(number, status);
        number
    }

    fn drift(&self) -> i64 {
        self.last - i64::try_from(self.now).unwrap_or(i64::MAX)
    }

    pub(super) fn hold(&self, number: HoldNumber) -> Option<&Hold> {
        self.holds.get(number as usize)
    }

    /// The status of a customer's own hold; a stranger's is none.
    pub(super) fn own(&self, number: HoldNumber, subject: SubjectKey) -> Option<HoldStatus> {
        self.hold(number).filter(|hold| hold.subject == subject).map(|hold| hold.status)
    }

    /// held + bought + waiting < the limit.
    pub(super) fn allows(&self, subject: SubjectKey, item: u16) -> bool {
        use HoldStatus::{Confirmed, Held, Offered, Waiting};
        let counts = |hold: &&Hold| {
            let live = matches!(hold.status, Held | Offered | Waiting | Confirmed);
            live && hold.subject == subject && hold.item == item
        };
        (self.holds.iter().filter(counts).count() as u64) < self.limit(item)
    }

    fn granted(&self, number: HoldNumber, replayed: bool) -> Outcome {
        let Some(hold) = self.hold(number) else { return no(Refusal::NotFound) };
        let lasts = if hold.offered { self.offer_ms } else { self.hold_ms };
        let expires_at = i64::try_from(hold.since + lasts).unwrap_or(i64::MAX) + hold.drift;
        Outcome::Granted { hold: number, expires_at, replayed }
    }
}
