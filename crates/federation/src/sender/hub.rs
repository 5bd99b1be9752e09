//! Who is to be told what, in memory: the servers with something under way, and those that are out of
//! reach. Every other server has no entry, no row, no task.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, ServerName};
use vestibule_storage::{SlotNo, Stamp, tables::sender::StoredCursor};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{
        FLUSH_SERVERS_MAX, PRESENCE_PER_EDU_MAX, PRESENCE_WAITING_MAX, SEND_QUEUE_MAX,
        TRANSACTION_PDUS_MAX, TRANSACTION_RECEIPTS_MAX, TYPING_WAITING_MAX,
    },
};

use super::{cursor::Cursor, servers::Servers};

/// One thing of the log that a server is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) slot: SlotNo,
    pub(super) stamp: Stamp,
    pub(super) room: RoomNo,
    /// The event; `None` for the receipt that changed at this position.
    pub(super) event: Option<EventNo>,
}

/// What a stretch of the log says, by whom it concerns.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Up to where it was read.
    pub(super) to: StoredCursor,
    /// What is told to whom, in the order of the log.
    pub(super) lines: Vec<(Line, Servers)>,
    /// Servers for which something was put in the outbox.
    pub(super) outbox: BTreeSet<OwnedServerName>,
}

/// Who types where.
pub(super) type Typist = (OwnedRoomId, OwnedUserId);

/// What a server is told if it is in reach, and otherwise is not.
#[derive(Clone, Debug, Default)]
pub(super) struct Passing {
    /// Who types, and who stopped.
    pub(super) typing: BTreeMap<Typist, bool>,
    /// Whose presence changed.
    pub(super) presence: BTreeSet<OwnedUserId>,
}

impl Passing {
    fn is_empty(&self) -> bool {
        self.typing.is_empty() && self.presence.is_empty()
    }

    /// How many messages it makes, at most.
    pub(super) fn messages(&self) -> usize {
        self.typing.len() + self.presence.len().div_ceil(PRESENCE_PER_EDU_MAX)
    }
}

/// What a server is told next.
#[derive(Debug)]
pub(super) enum Taken {
    /// These lines.
    Lines(Load),
    /// What it missed has to be looked for in the log.
    Behind,
    /// There is nothing; its task ends.
    Nothing,
}

/// A load for one transaction.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// From the log, in order.
    pub(super) lines: Vec<Line>,
    /// Where the server is when it has them.
    pub(super) cursor: StoredCursor,
    /// Whether the outbox may hold something.
    pub(super) outbox: bool,
    /// What is not kept.
    pub(super) passing: Passing,
}

/// What a server has received, though its row does not say so yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// The transaction that its row names.
    pub(super) transaction: Option<String>,
    /// Messages of the outbox that it has.
    pub(super) edus: Vec<(u16, Stamp)>,
}

/// What a task begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Where the server is, when its row does not tell.
    pub(super) cursor: StoredCursor,
    /// Whether it has a row.
    pub(super) kept: bool,
    /// Set when what the row says was settled in the meantime.
    pub(super) settled: Option<Settled>,
}

/// What the next flush writes.
#[derive(Debug, Default)]
pub(super) struct Flush {
    pub(super) tail: StoredCursor,
    /// Servers with something under way and without a row yet.
    pub(super) begun: Vec<(OwnedServerName, StoredCursor)>,
    /// Servers that have everything.
    pub(super) settled: Vec<(OwnedServerName, Settled)>,
    /// There are more of those than one flush takes.
    pub(super) more: bool,
}

#[derive(Debug)]
enum Mode {
    /// It hears of everything as it happens, but for what lies before `from`.
    Live { queue: VecDeque<Line>, from: StoredCursor },
    /// It missed something: its row says from where on.
    Behind,
}

#[derive(Debug)]
struct Destination {
    mode: Mode,
    /// It has everything before this, or its row says what it lacks.
    cursor: StoredCursor,
    /// Up to where its task took the queue.
    taken: StoredCursor,
    outbox: bool,
    passing: Passing,
    /// A task works for it, or a flush.
    busy: bool,
    /// Left alone until then, on the monotonic clock.
    until: Option<Duration>,
    row: Row,
    settled: Option<Settled>,
}

/// Whether a server has a row in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// It has none.
    No,
    /// A flush is about to give it one, or tried to.
    Begun,
    /// It has one.
    Yes,
}

#[derive(Debug, Default)]
struct State {
    tail: StoredCursor,
    /// Some server has everything, and a row that does not say so.
    settled: bool,
    servers: BTreeMap<OwnedServerName, Destination>,
    waiting: BTreeSet<(Duration, OwnedServerName)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<State>);

impl Hub {
    /// Begins where an earlier run ended: with servers that did not get everything, and when each of
    /// them is tried again.
    pub(super) fn load(
        &self,
        tail: StoredCursor,
        behind: impl Iterator<Item = (OwnedServerName, Duration)>,
    ) {
        let mut state = self.0.lock();
        for (server, until) in behind {
            let mut entry = Destination::live(&tail);
            entry.mode = Mode::Behind;
            entry.row = Row::Yes;
            entry.until = Some(until);
            state.waiting.insert((until, server.clone()));
            state.servers.insert(server, entry);
        }
        state.tail = tail;
    }

    /// Up to where the log was looked through.
    pub(super) fn tail(&self) -> StoredCursor {
        self.0.lock().tail.clone()
    }

    /// Takes in news. Returns the servers that now need a task.
    pub(super) fn follow(&self, news: News) -> Vec<OwnedServerName> {
        let mut state = self.0.lock();
        let state = &mut *state;
        let mut start = Vec::new();
        for (line, servers) in news.lines {
            for server in &*servers {
                state.with(server, &mut start, |entry| entry.push(line));
            }
        }
        for server in news.outbox {
            state.with(&server, &mut start, |entry| {
                entry.outbox = true;
                true
            });
        }
        state.tail.advance_to(&news.to);
        start
    }

    /// Tells servers that somebody types, or stopped. Whoever is out of reach is not told.
    pub(super) fn typing(
        &self,
        servers: &Servers,
        typist: &Typist,
        types: bool,
    ) -> Vec<OwnedServerName> {
        let mut state = self.0.lock();
        let mut start = Vec::new();
        for server in &**servers {
            state.with(server, &mut start, |entry| {
                if entry.passing.typing.len() < TYPING_WAITING_MAX {
                    entry.passing.typing.insert(typist.clone(), types);
                }
                true
            });
        }
        start
    }

    /// Tells servers of the presence of a user. Whoever is out of reach is not told.
    pub(super) fn presence(
        &self,
        servers: &BTreeSet<OwnedServerName>,
        user: &OwnedUserId,
    ) -> Vec<OwnedServerName> {
        let mut state = self.0.lock();
        let mut start = Vec::new();
        for server in servers {
            state.with(server, &mut start, |entry| {
                if entry.passing.presence.len() < PRESENCE_WAITING_MAX {
                    entry.passing.presence.insert(user.clone());
                }
                true
            });
        }
        start
    }

    /// What a task that was just started has to know.
    pub(super) fn begin(&self, server: &ServerName) -> Beginning {
        let mut state = self.0.lock();
        let tail = state.tail.clone();
        match state.servers.get_mut(server) {
            Some(entry) => Beginning {
                cursor: entry.cursor.clone(),
                kept: entry.row == Row::Yes,
                settled: entry.settled.take(),
            },
            None => Beginning { cursor: tail, kept: false, settled: None },
        }
    }

    /// Takes what a server is told next. With nothing left its task is over, and what it settled is
    /// remembered for the next flush.
    pub(super) fn take(&self, server: &ServerName, settled: &Settled) -> Taken {
        let mut state = self.0.lock();
        let State { tail, servers, settled: any_settled, .. } = &mut *state;
        let Some(entry) = servers.get_mut(server) else { return Taken::Nothing };
        let Mode::Live { queue, .. } = &mut entry.mode else { return Taken::Behind };
        let mut load = Load::default();
        let (mut events, mut receipts) = (0, 0);
        while let Some(line) = queue.front().copied() {
            let count = if line.event.is_some() { &mut events } else { &mut receipts };
            *count += 1;
            if events > TRANSACTION_PDUS_MAX || receipts > TRANSACTION_RECEIPTS_MAX {
                break;
            }
            queue.pop_front();
            entry.taken.advance(line.slot, line.stamp);
            load.lines.push(line);
        }
        if queue.is_empty() {
            entry.taken.advance_to(tail);
        }
        load.cursor = entry.taken.clone();
        load.outbox = std::mem::take(&mut entry.outbox);
        load.passing = std::mem::take(&mut entry.passing);
        if !load.lines.is_empty() || load.outbox || !load.passing.is_empty() {
            return Taken::Lines(load);
        }
        entry.busy = false;
        if entry.row == Row::No {
            servers.remove(server);
        } else {
            entry.settled = Some(settled.clone());
            *any_settled = true;
        }
        Taken::Nothing
    }

    /// The outbox of a server holds more than was taken.
    pub(super) fn more_in_outbox(&self, server: &ServerName) {
        if let Some(entry) = self.0.lock().servers.get_mut(server) {
            entry.outbox = true;
        }
    }

    /// The server has everything before `cursor`, or its row says what it lacks.
    pub(super) fn safe(&self, server: &ServerName, cursor: &StoredCursor, kept: bool) {
        if let Some(entry) = self.0.lock().servers.get_mut(server) {
            entry.cursor.clone_from(cursor);
            if kept {
                entry.row = Row::Yes;
            }
        }
    }

    /// A server has caught up to `at`. True when that is as far as the log was looked through: from
    /// here on it hears of everything as it happens.
    pub(super) fn caught_up(&self, server: &ServerName, at: &StoredCursor) -> bool {
        let mut state = self.0.lock();
        let there = at.covers(&state.tail);
        if let Some(entry) = state.servers.get_mut(server).filter(|_| there) {
            entry.mode = Mode::Live { queue: VecDeque::new(), from: at.clone() };
            entry.cursor = at.clone();
            entry.taken = at.clone();
            entry.outbox = true;
        }
        there
    }

    /// A server did not take what it was sent, or that could not be prepared: it is left alone for a
    /// while, and its task ends. What it did not get is looked for later.
    pub(super) fn failed(&self, server: &ServerName, until: Duration) {
        let mut state = self.0.lock();
        let State { servers, waiting, .. } = &mut *state;
        let Some(entry) = servers.get_mut(server) else { return };
        entry.mode = Mode::Behind;
        entry.passing = Passing::default();
        entry.settled = None;
        entry.outbox = false;
        entry.busy = false;
        if let Some(earlier) = entry.until.replace(until) {
            waiting.remove(&(earlier, server.to_owned()));
        }
        waiting.insert((until, server.to_owned()));
    }

    /// Whether a server that was left alone needs a task now.
    pub(super) fn wake(&self, server: &ServerName) -> bool {
        self.0.lock().wake(server)
    }

    /// Those whose time has come; all that wait when `now` is `None`.
    pub(super) fn due(&self, now: Option<Duration>) -> Vec<OwnedServerName> {
        let mut state = self.0.lock();
        let come = state.waiting.iter().take_while(|(until, _)| now.is_none_or(|it| *until <= it));
        let come: Vec<OwnedServerName> = come.map(|(_, server)| server.clone()).collect();
        come.into_iter().filter(|server| state.wake(server)).collect()
    }

    /// When the next one is to be woken.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.0.lock().waiting.first().map(|(until, _)| *until)
    }

    /// Whether a flush would forget some server.
    pub(super) fn has_settled(&self) -> bool {
        self.0.lock().settled
    }

    /// What is not written yet. Servers that have everything are held until [`Hub::flushed`].
    pub(super) fn to_flush(&self) -> Flush {
        let mut state = self.0.lock();
        state.settled = false;
        let mut flush = Flush { tail: state.tail.clone(), ..Flush::default() };
        for (server, entry) in &mut state.servers {
            let settled = entry.settled.as_ref().filter(|_| !entry.busy);
            if let Some(settled) = settled {
                if flush.settled.len() < FLUSH_SERVERS_MAX {
                    flush.settled.push((server.clone(), settled.clone()));
                    entry.busy = true;
                } else {
                    flush.more = true;
                }
            } else if entry.row != Row::Yes {
                entry.row = Row::Begun;
                flush.begun.push((server.clone(), entry.cursor.clone()));
            }
        }
        flush
    }

    /// What a flush came to. Servers that have everything are forgotten; for those with something new
    /// in the meantime a task is needed.
    pub(super) fn flushed(&self, flush: &Flush, written: bool) -> Vec<OwnedServerName> {
        let mut state = self.0.lock();
        let mut start = Vec::new();
        for (server, _) in flush.begun.iter().filter(|_| written) {
            if let Some(entry) = state.servers.get_mut(server) {
                entry.row = Row::Yes;
            }
        }
        for (server, _) in &flush.settled {
            let Some(entry) = state.servers.get_mut(server) else { continue };
            if written {
                (entry.row, entry.settled) = (Row::No, None);
            }
            entry.busy = entry.has_work();
            if entry.busy {
                start.push(server.clone());
            } else if written {
                state.servers.remove(server);
            }
        }
        start
    }

    /// How many servers are out of reach with something waiting for them.
    pub(super) fn behind(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

impl State {
    /// Changes the entry of a server; when that gave it work and nobody does it, it needs a task. A
    /// server that is behind is passed over.
    fn with(
        &mut self,
        server: &OwnedServerName,
        start: &mut Vec<OwnedServerName>,
        change: impl FnOnce(&mut Destination) -> bool,
    ) {
        let entry = match self.servers.get_mut(server) {
            Some(entry) if matches!(entry.mode, Mode::Behind) => return,
            Some(entry) => entry,
            None => self.servers.entry(server.clone()).or_insert(Destination::live(&self.tail)),
        };
        if change(entry) && !entry.busy {
            entry.busy = true;
            start.push(server.clone());
        }
    }

    fn wake(&mut self, server: &ServerName) -> bool {
        let Some(entry) = self.servers.get_mut(server).filter(|entry| !entry.busy) else {
            return false;
        };
        let Some(until) = entry.until.take() else { return false };
        self.waiting.remove(&(until, server.to_owned()));
        entry.busy = true;
        true
    }
}

impl Destination {
    /// A server that has everything up to `at`.
    fn live(at: &StoredCursor) -> Self {
        Self {
            mode: Mode::Live { queue: VecDeque::new(), from: at.clone() },
            cursor: at.clone(),
            taken: at.clone(),
            outbox: false,
            passing: Passing::default(),
            busy: false,
            until: None,
            row: Row::No,
            settled: None,
        }
    }

    fn has_work(&self) -> bool {
        match &self.mode {
            Mode::Live { queue, .. } => {
                !queue.is_empty() || self.outbox || !self.passing.is_empty()
            }
            Mode::Behind => true,
        }
    }

    /// Adds a line. A queue that is full is given up: what it held is looked for in the log later.
    fn push(&mut self, line: Line) -> bool {
        let Mode::Live { queue, from } = &mut self.mode else { return false };
        if line.stamp <= from.at(line.slot) {
            return false;
        }
        if queue.len() >= SEND_QUEUE_MAX {
            self.mode = Mode::Behind;
            return false;
        }
        queue.push_back(line);
        true
    }
}
