//! What outlives every process of a seed: the sale, the log, the ledgers, the provider, and what was told.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::engine::Engine;
use crate::faults::Faults;
use crate::invariants::Judge;
use crate::ledger::Books;
use crate::log::Records;
use crate::oracle::Oracle;
use crate::provider::Provider;
use crate::receivers::{Published, Shelf};
use crate::sale::Sale;
use crate::sim::{Process, Sim, lock};
use crate::switch::Switch;
use crate::tables::Tables;
use crate::told::Told;

/// One seed's world.
pub struct World {
    pub sim: Sim,
    pub switch: Option<Switch>,
    pub faults: Arc<Faults>,
    pub sale: Sale,
    pub records: Arc<Records>,
    /// The ledger that engines are started with; another after a promotion.
    books: Mutex<Arc<Books>>,
    pub provider: Arc<Provider>,
    pub events: Arc<Published>,
    pub cache: Arc<Shelf>,
    pub told: Arc<Told>,
    /// The processes that run, by their place.
    pub engines: Mutex<[Option<Arc<Engine>>; PLACES]>,
    processes: AtomicU32,
    /// The log lost what the ledger has folded.
    pub damaged: AtomicBool,
    /// How often a start noticed that.
    pub noticed: AtomicU32,
    /// A standby does not wait until the writer's beat stands still.
    pub hasty: AtomicBool,
}

/// Engines of a sale: one writes, the other stands by.
pub const PLACES: usize = 2;

impl World {
    /// A world in which nothing has happened.
    ///
    /// # Errors
    /// See [`Sale::draw`].
    pub fn new(sim: &Sim, switch: Option<Switch>) -> Result<Arc<Self>, String> {
        let faults = Arc::new(Faults::draw(sim));
        let sale = sim.chance(Sale::draw)?;
        let records = Records::new(sim, &faults);
        let provider = Provider::new(sim, &faults);
        let told = Arc::new(Told::new(sim));
        let judge = Judge::new(sim, &told, &provider, Oracle::new(&sale.rules));
        let books = Books::new(sim, &faults, &records, switch, (Tables::default(), judge));
        Ok(Arc::new(Self {
            sim: sim.clone(),
            switch,
            sale,
            books: Mutex::new(books),
            provider,
            events: Arc::new(Published { sim: sim.clone(), faults: Arc::clone(&faults), events: Mutex::default() }),
            cache: Arc::new(Shelf {
                sim: sim.clone(),
                faults: Arc::clone(&faults),
                stock: Mutex::default(),
                holds: Mutex::default(),
            }),
            told,
            engines: Mutex::new([const { None }; PLACES]),
            processes: AtomicU32::new(1),
            damaged: AtomicBool::new(false),
            noticed: AtomicU32::new(0),
            hasty: AtomicBool::new(false),
            records,
            faults,
        }))
    }

    /// The ledger that engines are started with.
    pub fn books(&self) -> Arc<Books> {
        Arc::clone(&lock(&self.books))
    }

    /// Engines are started with another ledger from now on.
    pub fn promote(&self, books: Arc<Books>) {
        *lock(&self.books) = books;
    }

    /// A process number that nobody had.
    pub fn next_process(&self) -> Process {
        self.processes.fetch_add(1, Relaxed)
    }

    /// Whether a switch is thrown.
    pub fn without(&self, switch: Switch) -> bool {
        self.switch == Some(switch)
    }

    /// One of the engines that run, by chance.
    pub fn some_engine(&self) -> Option<Arc<Engine>> {
        let running: Vec<usize> = {
            let engines = lock(&self.engines);
            (0..PLACES).filter(|place| engines[*place].is_some()).collect()
        };
        let place = self.sim.chance(|chance| chance.pick(&running))?;
        lock(&self.engines)[place].clone()
    }

    /// The engine whose writer leads the log with the present ledger, if one does.
    pub fn leader(&self) -> Option<Arc<Engine>> {
        let writer = lock(&self.books().tables).row().writer;
        let engines = lock(&self.engines);
        engines.iter().flatten().find(|engine| engine.writer_id() == writer && engine.leads()).cloned()
    }
}
