//! Who comes: people and labelled bots, with their tokens made before the opening. The labels stay on this side.

use flashsale_engine::sale::definition::{BotKind, Crowd};
use flashsale_engine::token::Mint;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::exit::{Exit, Failure};

/// How long tokens are good for, seconds.
const LIFE: u64 = 6 * 3_600;

/// Who someone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person.
    Person,
    /// A bot of a family.
    Bot(BotKind),
}

impl Kind {
    /// The label in results.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Person => "people",
            Self::Bot(BotKind::Hammer) => "bots: hammer",
            Self::Bot(BotKind::Swarm) => "bots: swarm",
            Self::Bot(BotKind::Retrier) => "bots: retrier",
            Self::Bot(BotKind::Hoarder) => "bots: hoarder",
        }
    }
}

/// One identity.
#[derive(Debug)]
pub struct Someone {
    /// What it is.
    pub kind: Kind,
    /// Its token.
    pub token: String,
}

/// Everybody, and the dice.
pub struct Audience {
    /// Identities.
    pub all: Vec<Someone>,
    /// First identity and count of each group, with its share of reserves.
    groups: Vec<(usize, usize, f64)>,
    next: Vec<usize>,
    dice: SmallRng,
}

impl Audience {
    /// Makes everybody; nothing is signed later.
    pub fn new(crowd: &Crowd, mint: &Mint) -> Result<Self, Failure> {
        let mut all = Vec::new();
        let mut groups = Vec::new();
        let mut add = |kind: Kind, count: u32, share: f64| -> Result<(), Failure> {
            groups.push((all.len(), count as usize, share));
            for number in 0..count {
                let name = match kind {
                    Kind::Person => format!("shopper-{number}"),
                    Kind::Bot(family) => format!("visitor-{}-{number}", family as u8),
                };
                let token =
                    mint.token(&name, "new", LIFE).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
                all.push(Someone { kind, token });
            }
            Ok(())
        };
        let bots: f64 = crowd.bots.iter().map(|family| family.share).sum();
        add(Kind::Person, crowd.shoppers, (1.0 - bots).max(0.0))?;
        for family in &crowd.bots {
            add(Kind::Bot(family.family), family.identities, family.share)?;
        }
        let next = vec![0; groups.len()];
        Ok(Self { all, groups, next, dice: SmallRng::seed_from_u64(crowd.seed) })
    }

    /// Who reserves next.
    pub fn next(&mut self) -> usize {
        let mut point: f64 = self.dice.random();
        let mut group = 0;
        for (place, (_, _, share)) in self.groups.iter().enumerate() {
            group = place;
            if point < *share {
                break;
            }
            point -= share;
        }
        let (first, count, _) = self.groups[group];
        let taken = self.next[group];
        self.next[group] = (taken + 1) % count.max(1);
        first + taken
    }

    /// A share's toss.
    pub fn toss(&mut self) -> f64 {
        self.dice.random()
    }

    /// A seeded exponential time around a mean.
    pub fn hesitation(&mut self, mean: std::time::Duration) -> std::time::Duration {
        let uniform: f64 = self.dice.random();
        mean.mul_f64(-(1.0 - uniform).max(1e-9).ln()).min(mean * 10)
    }
}
