//! What goes wrong, how often, and how often it did. Each seed draws which faults it has and how many of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::chance::Chance;
use crate::sim::{Sim, lock};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $share:literal;)*) => {
        /// One kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$name,)*];
            /// How many kinds there are.
            pub const COUNT: usize = [$(Self::$name,)*].len();

            /// Its name in the figures.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How often it comes where it can, in ten thousand, in a seed that has it in the usual measure.
            const fn share(self) -> u64 {
                match self { $(Self::$name => $share,)* }
            }
        }
    };
}

faults! {
    /// A process ends between any two steps; what it sent is on its way.
    Crash = "crash", 1200;
    /// A process stands still while another takes its place, and goes on.
    Stop = "stopped and continued", 800;
    /// A second writer takes over though the first is alive.
    SecondWriter = "second writer", 900;
    /// A standby ledger that lags is promoted; the old one is alive.
    Promotion = "promotion, both alive", 0;
    /// The log loses its end; the ledger has folded further.
    TailLost = "log tail lost", 0;
    /// The log loses its end and grows again.
    TailRegrown = "log tail lost and regrown", 0;
    /// The log loses records that nobody had folded.
    UnreadLost = "unread records lost", 0;
    /// A record is appended twice, the second perhaps much later.
    AppendTwice = "record appended twice", 250;
    /// A record is appended after its sender gave up.
    AppendLate = "record appended late", 200;
    /// A record is appended, nobody says so.
    AppendUnheard = "append unheard", 200;
    /// A record is not appended, nobody says so.
    AppendLost = "append lost", 200;
    /// The log says that it takes no record.
    AppendRefused = "append refused", 100;
    /// One record's timestamp is an hour early.
    ClockBack = "clock an hour back", 60;
    /// One record's timestamp is an hour late.
    ClockAhead = "clock an hour ahead", 60;
    /// A commit happens, nobody says so.
    CommitUnheard = "commit unknown, landed", 200;
    /// A commit does not happen, nobody says so.
    CommitLost = "commit unknown, not landed", 200;
    /// A commit happens after its writer gave up waiting.
    CommitLate = "commit late", 150;
    /// A ledger is not reachable for a statement.
    LedgerAway = "ledger statement failed", 100;
    /// A decision is not handed to a gateway.
    DecisionsLost = "decisions lost", 200;
    /// A decision is handed to a gateway late.
    DecisionsLate = "decisions late", 300;
    /// A decision is handed to a gateway twice.
    DecisionsRepeated = "decisions repeated", 300;
    /// A shopper's request does not reach its gateway.
    RequestLost = "request lost", 300;
    /// A gateway's answer does not reach its shopper.
    ReplyLost = "reply lost", 500;
    /// A gateway's answer reaches its shopper late.
    ReplyLate = "reply late", 300;
    /// A retry goes through another gateway while a flag is up.
    RetryUnderFlag = "retry elsewhere under a flag", 0;
    /// A question does not reach the payment provider.
    PaymentLost = "payment request lost", 300;
    /// The provider's answer is lost.
    PaymentUnheard = "payment answer lost", 300;
    /// A question reaches the provider after its sender gave up.
    PaymentLate = "payment late", 300;
    /// The provider declines.
    Declined = "payment declined", 700;
    /// The provider refuses to capture.
    CaptureRefused = "capture refused", 700;
    /// The provider fails to void.
    VoidRefused = "void failed", 2500;
    /// The cache forgets all it knows.
    CacheGone = "cache gone", 1500;
    /// The cache takes nothing for a write.
    CacheAway = "cache write failed", 500;
    /// The events' log does not take events.
    EventsAway = "events not taken", 300;
}

/// A seed's measure of each fault, and its count.
pub struct Faults {
    sim: Sim,
    measure: [u64; Fault::COUNT],
    counts: Mutex<[u64; Fault::COUNT]>,
    calm: AtomicBool,
}

impl Faults {
    /// Draws a seed's measure: each kind is absent in a third of the seeds, and comes in different measure in the rest.
    pub fn draw(sim: &Sim) -> Self {
        let measure = sim.chance(|chance| {
            let level = chance.between(1, 3);
            Fault::ALL.map(|fault| fault.share() * level * drawn(chance) / 4)
        });
        Self { sim: sim.clone(), measure, counts: Mutex::new([0; Fault::COUNT]), calm: AtomicBool::new(false) }
    }

    /// Whether it happens now; counted when it does.
    pub fn strikes(&self, fault: Fault) -> bool {
        let measure = self.measure[fault as usize];
        if measure == 0 || self.is_calm() || self.sim.chance(|chance| chance.below(10_000)) >= measure {
            return false;
        }
        self.count(fault);
        true
    }

    /// It happened.
    pub fn count(&self, fault: Fault) {
        lock(&self.counts)[fault as usize] += 1;
        self.sim.note(|| format!("fault: {}", fault.name()));
    }

    /// How often each happened.
    pub fn counts(&self) -> [u64; Fault::COUNT] {
        *lock(&self.counts)
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Relaxed);
        self.sim.note(|| "faults stop".to_owned());
    }

    /// Whether faults have stopped.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Relaxed)
    }
}

fn drawn(chance: &mut Chance) -> u64 {
    match chance.below(6) {
        0 | 1 => 0,
        2 | 3 => 2,
        4 => 4,
        _ => 8,
    }
}
