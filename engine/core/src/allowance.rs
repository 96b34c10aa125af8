//! Who was granted what: requests that are remembered, and how many units of an item each customer has.

use crate::command::{Command, HoldNumber, ItemIndex};
use crate::hold::Hold;
use crate::key::{RequestKey, SubjectKey};
use crate::state::State;

/// Commands that are looked ahead at together: as many misses as a processor has on their way at once, and some more.
pub const LOOK_AHEAD: usize = 32;

/// Grants from which on the tables are larger than a core's own caches.
const LARGE: usize = 65_536;

/// What stands for "no request" among those of the holds.
const NONE: RequestKey = RequestKey([0; 16]);

fn request_hash(request: RequestKey) -> u64 {
    let [low, high] = request.words();
    low ^ high.rotate_left(32)
}

fn customer_hash(subject: SubjectKey, item: ItemIndex) -> u64 {
    let [low, high] = subject.words();
    low ^ high.rotate_left(32) ^ u64::from(item).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn hash_of(holds: &[Hold], number: HoldNumber) -> u64 {
    holds.get(number as usize).map_or(0, |hold| customer_hash(hold.subject, hold.item))
}

fn is_customer(holds: &[Hold], number: HoldNumber, subject: SubjectKey, item: ItemIndex) -> bool {
    holds.get(number as usize).is_some_and(|hold| hold.subject == subject && hold.item == item)
}

impl State {
    /// Looks up what these commands will look up, and decides nothing: with a million grants the tables are larger than
    /// caches, and misses that are asked for together are waited for together.
    pub fn look_ahead<'a>(&self, commands: impl IntoIterator<Item = &'a Command>) {
        if self.requests.len() < LARGE {
            return;
        }
        let mut found = 0;
        for command in commands {
            if let Command::Reserve { request, subject, item, .. } = command {
                found += usize::from(self.granted(*request).is_some());
                // Once nothing is free nobody's allowance is asked for.
                if self.items.get(usize::from(*item)).is_some_and(|numbers| numbers.available() > 0) {
                    found += usize::from(self.allowed(*subject, *item));
                }
            }
        }
        // Nobody needs the number; the looks are the purpose.
        std::hint::black_box(found);
    }

    /// Makes room for so many grants.
    pub(crate) fn reserve_room(&mut self, grants: usize) {
        self.holds.reserve(grants);
        self.expiring.reserve(grants);
        self.request_keys.reserve(grants);
        let Self { holds, request_keys, requests, allowance, .. } = self;
        requests.reserve(grants, |number| request_keys.get(number as usize).map_or(0, |key| request_hash(*key)));
        allowance.reserve(grants, |number| hash_of(holds, number));
    }

    /// The hold that a request was granted, or its place in the waitlist.
    #[must_use]
    pub fn granted(&self, request: RequestKey) -> Option<HoldNumber> {
        let is = |number: HoldNumber| self.request_keys.get(number as usize) == Some(&request);
        self.requests.get(request_hash(request), is).map(|(number, _)| number)
    }

    /// Every granted request, by hold.
    pub fn requests(&self) -> impl Iterator<Item = (RequestKey, HoldNumber)> + '_ {
        (0..).zip(&self.request_keys).filter_map(|(number, request)| {
            let known = self.requests.get(request_hash(*request), |other| other == number);
            known.map(|_| (*request, number))
        })
    }

    /// Remembers a request that was granted.
    pub(crate) fn remember(&mut self, request: RequestKey, number: HoldNumber) {
        if self.request_keys.len() <= number as usize {
            self.request_keys.resize(number as usize + 1, NONE);
        }
        self.request_keys[number as usize] = request;
        let Self { request_keys, requests, .. } = self;
        let hash = |number: HoldNumber| request_keys.get(number as usize).map_or(0, |key| request_hash(*key));
        requests.insert(request_hash(request), number, hash);
    }

    /// Units of an item that a customer holds, has bought and waits for.
    pub(crate) fn allowed(&self, subject: SubjectKey, item: ItemIndex) -> u16 {
        let is = |number| is_customer(&self.holds, number, subject, item);
        self.allowance.get(customer_hash(subject, item), is).map_or(0, |(_, count)| count)
    }

    /// Whether a customer may have one more.
    pub(crate) fn allows(&self, subject: SubjectKey, item: ItemIndex) -> bool {
        let limit = self.items.get(usize::from(item)).map_or(0, |numbers| numbers.per_customer);
        self.allowed(subject, item) < limit
    }

    /// A customer has one more, by a hold that is there already.
    pub(crate) fn take_allowance(&mut self, number: HoldNumber, subject: SubjectKey, item: ItemIndex) {
        let Self { holds, allowance, .. } = self;
        let hash = customer_hash(subject, item);
        if !allowance.count_up(hash, |number| is_customer(holds, number, subject, item)) {
            allowance.insert(hash, number, |number| hash_of(holds, number));
        }
    }

    pub(crate) fn give_allowance_back(&mut self, subject: SubjectKey, item: ItemIndex) {
        let Self { holds, allowance, .. } = self;
        let is = |number| is_customer(holds, number, subject, item);
        allowance.count_down(customer_hash(subject, item), is, |number| hash_of(holds, number));
    }
}
