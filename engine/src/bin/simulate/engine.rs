//! One process of the engine, put together as the product's composition does it, over the simulator's ports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flashsale_engine::allocator::gauges::Gauges;
use flashsale_engine::gateway::late::Late;
use flashsale_engine::ports::{Clock, History, Payments};
use flashsale_engine::publisher::answers::Answers;
use flashsale_engine::publisher::board::Board;
use flashsale_engine::record::BatchId;
use flashsale_engine::settler::Settler;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::ledger::{Books, Connection};
use crate::provider::Desk;
use crate::receivers::{Pager, Watch};
use crate::sim::{Process, WORLD, lock};
use crate::world::{PLACES, World};
use crate::writer;

/// Gateways for shoppers in one process.
const GATEWAYS: u32 = 2;
/// Between two sweeps of the settler, and how young a payment is still its gateway's.
const SETTLE_EVERY: Duration = Duration::from_millis(700);
const YOUNG: Duration = Duration::from_millis(2_500);

/// A running process.
pub struct Engine {
    pub world: Arc<World>,
    pub process: Process,
    pub place: usize,
    pub books: Arc<Books>,
    pub clock: Arc<dyn Clock>,
    pub gauges: Arc<Gauges>,
    pub board: Arc<Board>,
    pub answers: Arc<Answers>,
    pub late: Late,
    pub history: Arc<dyn History>,
    pub payments: Arc<dyn Payments>,
    pub shoppers: Vec<Arc<Gateway>>,
    pub operators: Arc<Gateway>,
    writer: Uuid,
    ended: Notify,
    why: Mutex<Option<String>>,
}

impl Engine {
    fn new(world: &Arc<World>, place: usize) -> (Arc<Self>, Arc<Gateway>) {
        let sim = &world.sim;
        let process = world.next_process();
        let (off_ms, writer) = sim.chance(|chance| (chance.between(0, 40), Uuid::from_bytes(chance.key())));
        let off_ms = i64::try_from(off_ms).unwrap_or(0) - 20;
        let clock: Arc<dyn Clock> = Arc::new(Watch { sim: sim.clone(), off_ms });
        let gauges = Arc::new(Gauges::default());
        let board = Arc::new(Board::new(&world.sale.frozen, Arc::clone(&clock)));
        let answers = Arc::new(Answers::new(board.clone(), Arc::clone(&gauges)));
        let overload = world.sale.frozen.definition.admission.overload.clone();
        let gateway =
            |number: u32, overload| Gateway::start(world, process, number, &answers, &gauges, &clock, overload);
        let shoppers = (0..GATEWAYS).map(|number| gateway(number, Some(overload.clone()))).collect();
        let (operators, settling) = (gateway(BatchId::OPERATOR, None), gateway(BatchId::SETTLER, None));
        let books = world.books();
        let engine = Self {
            world: Arc::clone(world),
            process,
            place,
            clock,
            gauges,
            board,
            answers,
            late: Late::default(),
            history: Arc::new(Connection(Arc::clone(&books))),
            payments: Arc::new(Desk(Arc::clone(&world.provider))),
            shoppers,
            operators,
            books,
            writer,
            ended: Notify::new(),
            why: Mutex::new(None),
        };
        (Arc::new(engine), settling)
    }

    fn start(world: &Arc<World>, place: usize) -> Arc<Self> {
        let (engine, settling) = Self::new(world, place);
        let sim = &world.sim;
        for gateway in &engine.shoppers {
            sim.spawn(engine.process, Arc::clone(gateway).tally());
        }
        sim.spawn(engine.process, settle(Arc::clone(&engine), settling));
        sim.spawn(engine.process, writer::run(Arc::clone(&engine)));
        engine
    }

    /// The process ends: of itself, or by whoever kills it.
    pub fn end(&self, why: impl FnOnce() -> String) {
        if lock(&self.why).is_some() {
            return;
        }
        let text = why();
        self.world.sim.note(|| format!("engine {} (process {}) ends: {text}", self.place, self.process));
        *lock(&self.why) = Some(text);
        self.world.sim.kill(self.process);
        let mut engines = lock(&self.world.engines);
        if engines[self.place].as_ref().is_some_and(|known| known.process == self.process) {
            engines[self.place] = None;
        }
        drop(engines);
        self.ended.notify_one();
    }

    /// Its writer's id.
    pub fn writer_id(&self) -> Uuid {
        self.writer
    }

    /// Whether its writer has committed its own takeover.
    pub fn leads(&self) -> bool {
        self.board.leads()
    }
}

/// Keeps engines running, as a supervisor does.
pub fn supervise(world: &Arc<World>) {
    for place in 0..PLACES {
        let world = Arc::clone(world);
        world.sim.clone().spawn(WORLD, async move {
            loop {
                world.sim.sleep(world.sim.millis(1, 900)).await;
                let engine = Engine::start(&world, place);
                world.sim.note(|| format!("engine {place} starts (process {})", engine.process));
                lock(&world.engines)[place] = Some(Arc::clone(&engine));
                engine.ended.notified().await;
            }
        });
    }
}

async fn settle(engine: Arc<Engine>, settling: Arc<Gateway>) {
    let sim = engine.world.sim.clone();
    let mut settler = Settler::new(
        Arc::clone(&engine.history),
        Arc::clone(&engine.payments),
        settling,
        Arc::new(Pager(sim.clone())),
        Arc::clone(&engine.clock),
    );
    let mut young = Duration::ZERO;
    loop {
        settler.sweep(young).await;
        young = YOUNG;
        sim.sleep(SETTLE_EVERY).await;
    }
}
