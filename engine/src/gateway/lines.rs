//! The open connections of one thread, as the thread sees them: since when each is silent, and how all are told to stop.
//! One look at all of them, now and then, in place of a timer and a signal for each: those would be set again with
//! every request.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

/// Looks in the time that a client has: who is silent is cut off at most an eighth of that time late.
const LOOKS: u32 = 8;

/// All of them.
#[derive(Debug, Default)]
pub struct Lines {
    open: RefCell<BTreeMap<u64, Rc<Line>>>,
    opened: Cell<u64>,
    /// Looks so far.
    looks: Cell<u32>,
    stopping: Cell<bool>,
}

/// One of them.
#[derive(Debug, Default)]
pub struct Line {
    number: u64,
    /// The look since which a request is waited for; none while one is being answered.
    silent_since: Cell<Option<u32>>,
    cut: Cell<bool>,
    task: RefCell<Option<Waker>>,
    /// A host that was found to be one: clients do not change it.
    pub host: RefCell<Vec<u8>>,
}

impl Lines {
    /// A connection was accepted.
    pub fn open(&self) -> Rc<Line> {
        let number = self.opened.get();
        self.opened.set(number + 1);
        let silent_since = Cell::new(Some(self.looks.get()));
        let line = Rc::new(Line { number, silent_since, ..Line::default() });
        self.open.borrow_mut().insert(number, Rc::clone(&line));
        line
    }

    /// A connection has ended.
    pub fn close(&self, line: &Line) {
        self.open.borrow_mut().remove(&line.number);
    }

    /// A request has arrived whole, as far as its head goes.
    pub fn begin(&self, line: &Line) {
        line.silent_since.set(None);
    }

    /// It is answered; the next is waited for.
    pub fn end(&self, line: &Line) {
        line.silent_since.set(Some(self.looks.get()));
    }

    /// Whether all are to finish what they do and close.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Tells all of them to stop.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.open.borrow().values().for_each(|line| line.wake());
    }

    /// Cuts off whoever is silent for longer than `arrive`; never ends.
    pub async fn watch(&self, arrive: Duration) {
        loop {
            tokio::time::sleep(arrive / LOOKS).await;
            self.look();
        }
    }

    fn look(&self) {
        let look = self.looks.get().wrapping_add(1);
        self.looks.set(look);
        for line in self.open.borrow().values() {
            if line.silent_since.get().is_some_and(|since| look.wrapping_sub(since) > LOOKS) {
                line.cut.set(true);
                line.wake();
            }
        }
    }
}

impl Line {
    /// Remembers whom to wake, and says whether this connection was cut off.
    pub fn is_cut(&self, context: &Context<'_>) -> bool {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *task = Some(context.waker().clone());
        }
        self.cut.get()
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_silent_for_the_whole_time_is_cut_off() {
        let lines = Lines::default();
        let [silent, busy, talking] = [lines.open(), lines.open(), lines.open()];
        lines.begin(&busy);
        for _ in 0..LOOKS {
            lines.begin(&talking);
            lines.end(&talking);
            lines.look();
        }
        assert!(!silent.cut.get(), "its time is just over: it gets the rest of the look it came in");
        lines.look();
        assert_eq!([&silent, &busy, &talking].map(|line| line.cut.get()), [true, false, false]);
        lines.close(&silent);
        assert_eq!(lines.open.borrow().len(), 2);
    }
}
