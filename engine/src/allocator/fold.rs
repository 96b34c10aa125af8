//! What one record does to a sale: the same for the writer, a rebuild, the audit and the simulator.

use flashsale_core::{Command, Effect, LOOK_AHEAD, Outcome, Phase, Position, RULES_VERSION, State};
use uuid::Uuid;

use crate::ports::LogRecord;
use crate::record::{Batch, BatchId, Continue, Define, Entry, Record, decode};

/// Why folding stops. The memory that was folding is to be thrown away: it may have stopped half way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The log has a gap, lost records, or is another log: exit 98.
    #[error("the log is not the one that was folded: {0}")]
    Damaged(String),
    /// The log was made under other rules than this binary's.
    #[error("the log was made under rules version {found}; this binary folds version {RULES_VERSION}")]
    Rules {
        /** The log's. */
        found: u32,
    },
    /// Another writer took the log over.
    #[error("epoch {found} took the log over from epoch {mine}")]
    Superseded {
        /** This writer's. */
        mine: u64,
        /** The other's. */
        found: u64,
    },
    /// The fold broke an invariant: never committed.
    #[error("an invariant is violated: {0}")]
    Violated(String),
}

/// What a record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folded {
    /// The state began with it.
    Began,
    /// It changed nothing: why.
    Rejected(String),
    /// The batch had been folded before and was dropped.
    Repeated(BatchId),
    /// Every command was applied.
    Applied(BatchId, Vec<Outcome>),
}

/// One command, just applied.
#[derive(Debug)]
pub struct Applied<'a> {
    /// Whose batch.
    pub batch: BatchId,
    /// Where.
    pub position: Position,
    /// The command and its words.
    pub entry: &'a Entry,
    /// The phase before it.
    pub before: Phase,
    /// What it came to.
    pub outcome: Outcome,
    /// What it changed.
    pub effects: &'a [Effect],
}

/// Watches commands being applied; `()` watches nothing.
pub trait Witness {
    /// The state is as the command left it.
    fn applied(&mut self, state: &State, applied: &Applied<'_>);
}

impl Witness for () {
    fn applied(&mut self, _state: &State, _applied: &Applied<'_>) {}
}

/// A sale being folded from its log.
#[derive(Debug, Clone)]
pub struct Fold {
    run: Uuid,
    generation: u32,
    next: u64,
    state: Option<State>,
    effects: Vec<Effect>,
}

impl Fold {
    /// Before the first record of a generation's log.
    #[must_use]
    pub fn new(run: Uuid, generation: u32) -> Self {
        Self { run, generation, next: 0, state: None, effects: Vec::new() }
    }

    /// With a state that the records below `next` made.
    #[must_use]
    pub fn resume(run: Uuid, generation: u32, next: u64, state: State) -> Self {
        Self { run, generation, next, state: Some(state), effects: Vec::new() }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> Uuid {
        self.run
    }

    /// The log's generation.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The state; none before the first record.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The state's digest; 0 before the first record.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.state.as_ref().map_or(0, State::digest)
    }

    /// Folds the next record.
    ///
    /// # Errors
    /// On a gap, a first record that does not begin this run's generation, and another rules version. Anything else
    /// that is wrong with a record is a rejection that every fold repeats.
    pub fn record(&mut self, record: &LogRecord, witness: &mut impl Witness) -> Result<Folded, StepError> {
        if record.offset != self.next {
            return Err(StepError::Damaged(format!("offset {} where {} was due", record.offset, self.next)));
        }
        let decoded = decode::<Record>(&record.bytes);
        let folded = match (&mut self.state, decoded) {
            (None, Ok(Record::Define(define))) => self.begin(&define, record.timestamp)?,
            (None, Ok(Record::Continue(further))) => self.go_on(&further)?,
            (None, _) => return Err(StepError::Damaged("its first record defines no sale".into())),
            (Some(state), Ok(Record::Batch(batch))) => {
                let first = Position { generation: self.generation, offset: record.offset, index: 0 };
                apply(state, first, record.timestamp, &batch, &mut self.effects, witness)
            }
            (Some(_), Ok(Record::Define(define))) => Folded::Rejected(format!("defines run {} once more", define.run)),
            (Some(_), Ok(Record::Continue(further))) => {
                Folded::Rejected(format!("begins generation {} in the middle of a log", further.generation))
            }
            (Some(_), Err(error)) => Folded::Rejected(error.to_string()),
        };
        self.next += 1;
        Ok(folded)
    }

    fn begin(&mut self, define: &Define, timestamp: i64) -> Result<Folded, StepError> {
        if define.rules_version != RULES_VERSION {
            return Err(StepError::Rules { found: define.rules_version });
        }
        if define.run != self.run || self.generation != 0 {
            return Err(StepError::Damaged(format!(
                "it begins run {} where run {}, generation {} was due",
                define.run, self.run, self.generation
            )));
        }
        if define.rules.items.is_empty() {
            return Err(StepError::Damaged("it defines a sale without items".into()));
        }
        self.state = Some(State::new(define.rules.clone(), timestamp));
        Ok(Folded::Began)
    }

    fn go_on(&mut self, further: &Continue) -> Result<Folded, StepError> {
        if further.run != self.run || further.generation != self.generation {
            return Err(StepError::Damaged(format!(
                "it goes on with run {}, generation {} where run {}, generation {} was due",
                further.run, further.generation, self.run, self.generation
            )));
        }
        let state: State = postcard::from_bytes(&further.state)
            .map_err(|error| StepError::Damaged(format!("the state it goes on with is unreadable: {error}")))?;
        if state.digest() != further.digest {
            return Err(StepError::Damaged("the state it goes on with has another digest than it says".into()));
        }
        state.check_all().map_err(|what| StepError::Damaged(format!("the state it goes on with is none: {what}")))?;
        self.state = Some(state);
        Ok(Folded::Began)
    }
}

fn apply(
    state: &mut State,
    first: Position,
    timestamp: i64,
    batch: &Batch,
    effects: &mut Vec<Effect>,
    witness: &mut impl Witness,
) -> Folded {
    let id = batch.id;
    if u32::try_from(batch.entries.len()).is_err() {
        return Folded::Rejected("more commands than positions".into());
    }
    if !state.accept_batch(id.gateway, id.boot, id.number) {
        return Folded::Repeated(id);
    }
    let mut outcomes = Vec::with_capacity(batch.entries.len());
    for (index, entry) in (0..).zip(&batch.entries) {
        if (index as usize).is_multiple_of(LOOK_AHEAD) {
            let ahead = batch.entries.iter().skip(index as usize).take(LOOK_AHEAD);
            state.look_ahead(ahead.map(|entry| &entry.command));
        }
        effects.clear();
        let (position, before) = (Position { index, ..first }, state.phase());
        let outcome = state.apply(position, timestamp, &entry.command, effects);
        witness.applied(state, &Applied { batch: id, position, entry, before, outcome, effects });
        outcomes.push(outcome);
    }
    Folded::Applied(id, outcomes)
}

/// Whether a command asks for a picture of every item in its decision: it is a sign of life.
#[must_use]
pub(crate) fn pictures_all(command: &Command) -> bool {
    matches!(command, Command::Tick | Command::Takeover { .. })
}
