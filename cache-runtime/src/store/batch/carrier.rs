//! The task that takes along whoever waits: in one request, told one by one, each within his own deadline.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use redis::{ErrorKind, RedisResult};
use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::company::{Batch, lost};
use super::packed::Packed;
use super::{Asked, CARRIERS, LARGE, Store, Told};
use crate::clock::{self, Instant};
use crate::store::answers::Answers;
use crate::store::ask::trouble;
use crate::store::connect::{Connector, Link, Purpose};
use crate::store::slots::Slot;
use crate::store::wire::{Texts, texts_beside};
use crate::store::{Read, Trouble, Watch};

/// How often a carrier lets others go first who are told: the readers, their carrier, and the connection.
const TURNS: usize = 4;

/// Carries those who wait, batch after batch, until nobody waits. However it ends, those who wait go on.
pub(super) struct Carrier {
    slot: Arc<Slot>,
    store: Arc<Store>,
    /// How many it has under way.
    carries: usize,
    has_ended: bool,
}

impl Carrier {
    /// One that is counted already.
    pub(super) fn new(slot: &Arc<Slot>, store: &Arc<Store>) -> Self {
        Self {
            slot: Arc::clone(slot),
            store: Arc::clone(store),
            carries: 0,
            has_ended: false,
        }
    }

    pub(super) fn start(self) {
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(self.run()));
        }
    }

    async fn run(mut self) {
        let mut turn = None;
        loop {
            // Who is ready to go on may be about to ask.
            yield_now().await;
            if self.ends() {
                return;
            }
            turn = match Connector::current(&self.slot) {
                Some(link) => {
                    let batch = self.load(None);
                    self.store.carry(&self.slot, link, batch, turn).await
                }
                None => {
                    drop(turn);
                    self.connect_and_carry().await
                }
            };
            self.unload();
        }
    }

    async fn connect_and_carry(&mut self) -> Option<Turn> {
        let began = clock::now();
        match self.connect(began).await {
            Ok(link) => {
                let batch = self.load(Some((began, clock::now())));
                self.store.carry(&self.slot, link, batch, None).await
            }
            // Of those who came meanwhile nobody waits for another attempt.
            Err(trouble) => {
                let waiting = std::mem::take(&mut self.slot.batches.lock().waiting);
                Batch::new(&self.slot, waiting).fail(&trouble);
                None
            }
        }
    }

    /// Who waited before the connection was lost does not wait longer for another one.
    async fn connect(&self, began: Instant) -> Result<Link, Trouble> {
        let connector = &self.store.connector;
        let limit = connector.timeout();
        let mut connecting = Box::pin(connector.link(Purpose::Reading, limit));
        while let Some(due) = self.due(began) {
            let left = due.saturating_duration_since(clock::now());
            if let Some(link) = clock::within(left, connecting.as_mut()).await {
                return link;
            }
            let mut state = self.slot.batches.lock();
            let timeout = self.store.timeout;
            let is_late = |since: Instant| clock::after(since, timeout) <= due;
            let is_on_time = |asked: &Asked| !asked.since.is_some_and(is_late);
            let on_time = state.waiting.iter().position(is_on_time);
            let late = on_time.unwrap_or(state.waiting.len());
            let late: Vec<Asked> = state.waiting.drain(..late).collect();
            drop(state);
            Batch::new(&self.slot, late).fail(&Trouble::Timeout);
        }
        connecting.await
    }

    /// When the first who waits has waited long enough, if he came before that moment.
    fn due(&self, before: Instant) -> Option<Instant> {
        let state = self.slot.batches.lock();
        let since = state.waiting.first()?.since;
        let since = since.filter(|since| *since < before)?;
        Some(clock::after(since, self.store.timeout))
    }

    /// Whether there is nothing to do for it any more: nobody waits, or so few that they are left to one that is under way.
    pub(super) fn ends(&mut self) -> bool {
        let mut state = self.slot.batches.lock();
        let others = state.carriers.saturating_sub(1);
        let is_worth_it = state.is_worth_another(others, state.share() / 2);
        if state.waiting.is_empty() || !is_worth_it {
            state.carriers -= 1;
            self.has_ended = true;
            self.slot.batches.note_carriers(&state);
        }
        self.has_ended
    }

    /// Takes its share of those who wait, whoever waits longest first, and sees to it that another carrier takes the rest: so
    /// nobody waits for more than one answer before his own.
    pub(super) fn load(&mut self, connecting: Option<(Instant, Instant)>) -> Batch {
        let mut state = self.slot.batches.lock();
        let (most, share) = (state.most_reads(), state.share());
        let taken = most.min(share).min(state.waiting.len());
        let mut asked: Vec<Asked> = state.waiting.drain(..taken).collect();
        self.carries = taken;
        state.carried += taken;
        state.forget_readers();
        let leaves_some = !state.waiting.is_empty();
        let starts = leaves_some && (taken == most || state.carriers < CARRIERS);
        state.carriers += usize::from(starts);
        let cells = &mut state.cells;
        asked.retain(|asked| {
            let place = asked.place;
            place.is_some_and(|place| cells.is_awaited_or_free(place))
        });
        drop(state);
        if starts {
            Self::new(&self.slot, &self.store).start();
        }
        // A connection that has to be made has a deadline of its own.
        if let Some((began, connected)) = connecting {
            let came_meanwhile = |since: Option<Instant>| since.is_none_or(|since| since >= began);
            for asked in asked.iter_mut().filter(|asked| came_meanwhile(asked.since)) {
                asked.since = Some(connected);
            }
        }
        Batch::new(&self.slot, asked)
    }
}

impl Carrier {
    /// Those it took have been told.
    pub(super) fn unload(&mut self) {
        self.slot.batches.lock().carried -= std::mem::take(&mut self.carries);
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.slot.batches.lock();
        state.carriers -= 1;
        state.carried -= self.carries;
        self.slot.batches.note_carriers(&state);
        let left = match state.carriers {
            0 => std::mem::take(&mut state.waiting),
            _ => Vec::new(),
        };
        drop(state);
        // They are told so.
        drop(Batch::new(&self.slot, left));
    }
}

impl Store {
    /// Asks for all of a batch at once. As with a single request, a connection that turns out to be dead, or answers what was
    /// not asked, is replaced, once.
    ///
    /// `turn` is over once the request is on its way; answers the next one, in which the readers ask again.
    async fn carry(
        &self,
        slot: &Arc<Slot>,
        mut link: Link,
        mut batch: Batch,
        mut turn: Option<Turn>,
    ) -> Option<Turn> {
        if batch.asked.is_empty() {
            return None;
        }
        let keys = batch.asked.iter().map(|asked| &asked.key);
        let wanted = batch.asked.iter().any(|asked| asked.watch == Watch::Kept);
        let watch = match wanted || link.teller().is_none() {
            true => Watch::Kept,
            false => Watch::None,
        };
        let packed = Packed::of(keys, watch);
        let mut to_connect = self.connector.timeout();
        let mut retried = false;
        loop {
            let error = match self
                .ask_for_all(&link, &packed, &mut batch, turn.take())
                .await
            {
                Ok(Ok(texts)) => match packed.take_apart(texts, link.teller()) {
                    Some(answers) => {
                        let turn = Turn::begin(slot).await;
                        self.land(slot, batch, &answers);
                        return Some(turn);
                    }
                    None => (ErrorKind::Parse, "an answer to something else").into(),
                },
                Ok(Err(error)) => error,
                Err(trouble) => {
                    batch.fail(&trouble);
                    return None;
                }
            };
            self.connector.discard(&link);
            if retried || link.fresh {
                batch.fail(&trouble(&error));
                return None;
            }
            retried = true;
            let began = clock::now();
            link = match Box::pin(self.connector.link(Purpose::Reading, to_connect)).await {
                Ok(link) => link,
                Err(trouble) => {
                    batch.fail(&trouble);
                    return None;
                }
            };
            let connecting = clock::now().saturating_duration_since(began);
            to_connect = to_connect.saturating_sub(connecting);
            batch.wait_longer(connecting);
        }
    }

    /// One attempt over this connection, waited for as long as anybody does. The inner error is the connection's death.
    async fn ask_for_all(
        &self,
        link: &Link,
        packed: &Packed,
        batch: &mut Batch,
        turn: Option<Turn>,
    ) -> Result<RedisResult<Texts>, Trouble> {
        let sent = clock::now();
        let beside = link.line.ask(packed.answers(), |out| packed.write(out));
        if let Some(asked) = beside {
            // It is on its way.
            drop(turn);
            let texts = pin!(async { texts_beside(asked.await) });
            return self.await_texts(link, sent, batch, texts).await;
        }
        let command = packed.command();
        let mut asked = pin!(command.request().send(link.connection.clone()));
        if let Some(turn) = turn {
            let sent_off = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context)));
            if let Poll::Ready(answer) = sent_off.await {
                return Self::heard(link, sent, answer);
            }
            // The connection writes it.
            yield_now().await;
            drop(turn);
        }
        self.await_texts(link, sent, batch, asked).await
    }

    async fn await_texts(
        &self,
        link: &Link,
        sent: Instant,
        batch: &mut Batch,
        mut asked: Pin<&mut impl Future<Output = RedisResult<Texts>>>,
    ) -> Result<RedisResult<Texts>, Trouble> {
        while let Some(due) = batch.due(self.timeout) {
            let left = due.saturating_duration_since(clock::now());
            match clock::within(left, asked.as_mut()).await {
                Some(answer) => return Self::heard(link, sent, answer),
                None => batch.give_up(clock::now(), self.timeout),
            }
        }
        self.connector.timed_out(link);
        Err(Trouble::Timeout)
    }

    fn land(&self, slot: &Slot, mut batch: Batch, answers: &Arc<Answers>) {
        let (mut bytes, mut entries) = (0, 0);
        let mut reads = answers.reads();
        batch.tell_all(|asked| {
            let read = reads.next();
            if let Some(entry) = read.as_ref().and_then(Read::entry) {
                bytes += entry.len();
                entries += 1;
                if entry.len() >= LARGE {
                    self.loners.note(&asked.key, true);
                }
            }
            Told::Read(read.ok_or_else(lost))
        });
        if let Some(size) = usize::checked_div(bytes, entries) {
            let mut state = slot.batches.lock();
            // The last batch counts for a quarter.
            state.usual_size = (state.usual_size * 3 + size) / 4;
        }
    }
}

/// The turn of those who were told: until they have asked again, and their request is written, those of other requests are
/// not told. Else answers that come together would be asked for together from there on, and server and process would wait
/// for each other.
pub(super) struct Turn(Arc<Slot>);

impl Turn {
    /// Waits for the turn of others to end, for as long as that takes on one thread, and no longer.
    pub(super) async fn begin(slot: &Arc<Slot>) -> Self {
        for _ in 0..TURNS {
            if !std::mem::replace(&mut slot.batches.lock().tells, true) {
                break;
            }
            yield_now().await;
        }
        Self(Arc::clone(slot))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = clock::now();
        self.0.batches.lock().end_telling(now);
    }
}
