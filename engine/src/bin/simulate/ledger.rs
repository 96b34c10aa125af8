//! A ledger: tables behind a wire. Every commit that lands is judged at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::{HoldNumber, HoldStatus, PaymentView, RequestKey};
use flashsale_engine::audit::chain::last_record_hash;
use flashsale_engine::ports::{
    AuditRow, Checkpoint, CommitEnd, Gate, History, HoldRow, Ledger, LedgerBatch, LedgerError, LedgerRows, Snapshot,
    Sums,
};
use uuid::Uuid;

use crate::faults::{Fault, Faults};
use crate::invariants::Judge;
use crate::log::Records;
use crate::sim::{Sim, lock};
use crate::switch::Switch;
use crate::tables::Tables;
use crate::wire::{Fate, Way, ask};

/// The way to the ledger.
const WAY: Way = Way { low: 100, high: 3_000, limit: Duration::from_millis(900), late: Duration::from_secs(3) };

/// Tables, who watches over them, and the writers' sessions.
pub struct Books {
    pub sim: Sim,
    pub faults: Arc<Faults>,
    pub records: Arc<Records>,
    pub switch: Option<Switch>,
    pub tables: Mutex<Tables>,
    pub judge: Mutex<Judge>,
    /// A standby's copy, as it was when it was last seen to.
    pub standby: Mutex<Option<(Tables, Judge)>>,
    /// Commits that may still land: (writer, which of its).
    sessions: Mutex<BTreeSet<(Uuid, u64)>>,
    next_session: Mutex<u64>,
}

impl Books {
    /// Books with these contents.
    pub fn new(
        sim: &Sim,
        faults: &Arc<Faults>,
        records: &Arc<Records>,
        switch: Option<Switch>,
        (tables, judge): (Tables, Judge),
    ) -> Arc<Self> {
        Arc::new(Self {
            sim: sim.clone(),
            faults: Arc::clone(faults),
            records: Arc::clone(records),
            switch,
            tables: Mutex::new(tables),
            judge: Mutex::new(judge),
            standby: Mutex::new(None),
            sessions: Mutex::default(),
            next_session: Mutex::new(0),
        })
    }

    /// The standby catches up.
    pub fn replicate(&self) {
        *lock(&self.standby) = Some((lock(&self.tables).clone(), lock(&self.judge).clone()));
    }

    /// No commit that is on its way lands any more.
    pub fn end_sessions(&self) {
        lock(&self.sessions).clear();
    }

    /// How far it has folded.
    pub fn next_offset(&self) -> u64 {
        lock(&self.tables).row().next_offset
    }

    fn land(&self, session: (Uuid, u64), batch: &LedgerBatch) -> CommitEnd {
        let mut tables = lock(&self.tables);
        if !lock(&self.sessions).remove(&session) {
            return CommitEnd::Unknown("its session has ended".into());
        }
        let end = if self.switch == Some(Switch::Fence) {
            let row = tables.row();
            tables.commit(&LedgerBatch {
                epoch: row.epoch,
                writer: row.writer,
                first_offset: row.next_offset,
                digest_before: row.digest,
                ..batch.clone()
            })
        } else {
            tables.commit(batch)
        };
        match &end {
            CommitEnd::Committed => lock(&self.judge).committed(batch, &tables, &self.records),
            CommitEnd::Mismatch(what) => self.sim.fail(|| format!("I1: a row is not as its writer left it: {what}")),
            CommitEnd::Fenced(_) | CommitEnd::Unknown(_) => {}
        }
        end
    }

    async fn look<T>(&self, look: impl FnOnce(&Tables) -> T) -> Result<T, LedgerError> {
        self.sim.sleep(self.sim.micros(WAY.low, WAY.high)).await;
        if self.faults.strikes(Fault::LedgerAway) {
            return Err(LedgerError::Unavailable("no connection".into()));
        }
        Ok(look(&lock(&self.tables)))
    }

    async fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> Result<T, LedgerError> {
        self.sim.sleep(self.sim.micros(WAY.low, WAY.high)).await;
        if self.faults.strikes(Fault::LedgerAway) {
            return Err(LedgerError::Unavailable("no connection".into()));
        }
        Ok(change(&mut lock(&self.tables)))
    }

    /// The row as it is given to whoever asks.
    fn shown(&self, mut row: Checkpoint) -> Checkpoint {
        if self.switch == Some(Switch::LogHash)
            && let Some(last) = row.next_offset.checked_sub(1).and_then(|last| self.records.slice(last, 1).pop())
        {
            row.last_record = last_record_hash(&last);
        }
        row
    }
}

/// A process's connection to the books.
pub struct Connection(pub Arc<Books>);

#[async_trait]
impl Ledger for Connection {
    async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        self.0.look(|tables| self.0.shown(tables.row())).await
    }

    async fn take_over(&self, seen: u64, writer: Uuid) -> Result<Option<Checkpoint>, LedgerError> {
        self.0.change(|tables| tables.take_over(seen, writer).map(|row| self.0.shown(row))).await
    }

    async fn commit(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        let Books { sim, faults, .. } = &*self.0;
        let fate = if faults.strikes(Fault::CommitLost) {
            Fate::Lost
        } else if faults.strikes(Fault::CommitUnheard) {
            Fate::Unheard
        } else if faults.strikes(Fault::CommitLate) {
            Fate::Late
        } else {
            Fate::Sound
        };
        let session = {
            let mut next = lock(&self.0.next_session);
            *next += 1;
            (batch.writer, *next)
        };
        lock(&self.0.sessions).insert(session);
        let (books, batch) = (Arc::clone(&self.0), batch.clone());
        let end = ask(sim, WAY, fate, move || books.land(session, &batch)).await;
        Ok(end.unwrap_or_else(|| CommitEnd::Unknown("no answer within the limit".into())))
    }

    async fn resolve(&self, batch: &LedgerBatch) -> Result<CommitEnd, LedgerError> {
        lock(&self.0.sessions).retain(|(writer, _)| *writer != batch.writer);
        self.0.look(|tables| tables.resolve(batch)).await
    }

    async fn beat(&self, epoch: u64, writer: Uuid) -> Result<bool, LedgerError> {
        let mine = self.0.change(|tables| tables.change_own_row(epoch, writer, |row| row.beat += 1)).await?;
        Ok(mine || self.0.switch == Some(Switch::Fence))
    }

    async fn published(&self, epoch: u64, offset: u64) -> Result<(), LedgerError> {
        self.0.change(|tables| tables.published(epoch, offset)).await
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        self.0.change(|tables| tables.save_snapshot(snapshot)).await
    }

    async fn rewrite(&self, _epoch: u64, _writer: Uuid, _rows: &LedgerRows) -> Result<bool, LedgerError> {
        Err(LedgerError::Unavailable("nobody here repairs a ledger".into()))
    }
}

#[async_trait]
impl History for Connection {
    async fn writer(&self) -> Result<Option<Checkpoint>, LedgerError> {
        self.0.look(|tables| tables.row.clone()).await
    }
    async fn hold(&self, hold: HoldNumber) -> Result<Option<HoldRow>, LedgerError> {
        self.0.look(|tables| tables.holds.get(&hold).cloned()).await
    }
    async fn request(&self, request: RequestKey) -> Result<Option<HoldRow>, LedgerError> {
        self.0.look(|tables| tables.request(request)).await
    }
    async fn subject(&self, name: &str, limit: u32) -> Result<Vec<HoldRow>, LedgerError> {
        let named = |tables: &Tables| {
            let rows = tables.holds.values().rev().filter(|row| row.name.as_deref() == Some(name));
            rows.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
        };
        self.0.look(named).await
    }
    async fn payments(&self, hold: HoldNumber) -> Result<Vec<PaymentView>, LedgerError> {
        self.0.look(|tables| tables.payments_of(hold)).await
    }
    async fn open_payments(&self) -> Result<Vec<PaymentView>, LedgerError> {
        self.0.look(|tables| tables.payments.values().filter(|paid| paid.state.is_open()).copied().collect()).await
    }
    async fn audit(&self, generation: u32, from: u64, limit: u32) -> Result<Vec<AuditRow>, LedgerError> {
        self.0.look(|tables| tables.audit_from(generation, from, limit)).await
    }
    async fn snapshot(&self, next_offset: u64) -> Result<Option<Snapshot>, LedgerError> {
        self.0.look(|tables| tables.snapshot(next_offset)).await
    }
    async fn rows(&self) -> Result<LedgerRows, LedgerError> {
        self.0.look(Tables::rows).await
    }
    async fn books(&self) -> Result<Option<(Checkpoint, LedgerRows)>, LedgerError> {
        self.0.look(|tables| tables.row.clone().map(|row| (row, tables.rows()))).await
    }
    async fn sums(&self) -> Result<Sums, LedgerError> {
        self.0.look(Tables::sums).await
    }
    async fn overdue(&self, now: i64) -> Result<bool, LedgerError> {
        let live = |row: &HoldRow| matches!(row.view.status, HoldStatus::Held | HoldStatus::Offered);
        self.0.look(|tables| tables.holds.values().any(|row| live(row) && row.view.expires_at <= now)).await
    }
    async fn gate(&self) -> Result<Option<Gate>, LedgerError> {
        self.0.look(|tables| tables.gate.clone()).await
    }
    async fn set_gate(&self, gate: Option<&Gate>) -> Result<(), LedgerError> {
        self.0.change(|tables| tables.gate = gate.cloned()).await
    }
}
